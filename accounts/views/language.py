"""The language switch: one form in the header and the footer of every page."""

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from accounts import middleware
from accounts.models import Language, User
from accounts.services.language import set_language


@require_POST
def switch_language(request: HttpRequest) -> HttpResponse:
    """Change the language and return to the same page. The choice is stored in the account and in a cookie.

    POST `language` (a code of `Language`) and `next` (a path of this site; anything else leads to the start page).
    """
    code = request.POST.get("language", "")
    if code not in Language.values:
        return HttpResponseBadRequest(gettext("Teri does not speak this language."), content_type="text/plain")
    page = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        page = resolve_url("home")
    if isinstance(request.user, User):
        set_language(user=request.user, language=code)
    response = HttpResponseRedirect(page)
    middleware.remember(response, code)
    return response
