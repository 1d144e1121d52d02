"""Access to pages: the `signed_in` decorator and safe redirects."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User

P = ParamSpec("P")


class SignedInRequest(HttpRequest):
    """A request of a signed-in user. Views behind `signed_in` get this type."""

    user: User
    htmx: Any  # django_htmx.middleware.HtmxDetails, which ships no types


def signed_in(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Redirect visitors to the sign-in page, and forbid caching of the page.

    If the session has ended and htmx requests a fragment, the whole page is redirected to the sign-in and returns to
    the page of the fragment afterwards.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response: HttpResponseBase
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)  # type: ignore[arg-type]  # it is one now
        elif htmx := getattr(request, "htmx", None):
            page = htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)
            response = HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}")
        else:
            # The address of a POST may have no page to return to.
            page = request.get_full_path() if request.method in {"GET", "HEAD"} else resolve_url("home")
            response = redirect_to_login(page)
        if "Cache-Control" not in response.headers:
            add_never_cache_headers(response)
        return response

    return guarded


def own_page(request: HttpRequest, page: str, *, otherwise: str) -> str:
    """`page` if it belongs to this site, else `otherwise`. Prevents open redirects."""
    host = request.get_host()
    safe = url_has_allowed_host_and_scheme(page, allowed_hosts={host}, require_https=request.is_secure())
    return page if safe else resolve_url(otherwise)
