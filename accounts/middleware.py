"""Middleware: the language of the signed-in user on every device, and a 403 page for the services' `NotAllowed`."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from accounts.models import Language, User
from accounts.permissions import NotAllowed
from accounts.services import language

# These pages load no user, because the database may be down.
WITHOUT_PEOPLE: Final = ("/health/",)


class AccountLanguageMiddleware:
    """Switches to the language of the account. Must come after LocaleMiddleware and AuthenticationMiddleware.

    An account without a language gets the language of the page at sign-in. The cookie follows the account, so that the
    page keeps its language after signing out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(WITHOUT_PEOPLE):
            return self.get_response(request)
        before = _signed_in(request)
        if before is not None and before.language:
            activate(request, before.language)
        response = self.get_response(request)
        after = _signed_in(request)
        if after is not None:
            if before is None and not after.language:
                _adopt(request, after)
            if after.language and request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) != after.language:
                remember(response, after.language)
        return response


class NotAllowedMiddleware:
    """Turns the services' `NotAllowed` into Django's 403 page.

    The service's message is left out, because it is not translated.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Called for exceptions of views and templates. Django handles the PermissionDenied raised here."""
        if isinstance(exception, NotAllowed):
            raise PermissionDenied from exception


def activate(request: HttpRequest, code: str) -> None:
    """Answer this request in the language `code`."""
    translation.activate(code)
    request.LANGUAGE_CODE = code


def remember(response: HttpResponse, code: str) -> None:
    """Set the language cookie to `code`, unless the response already sets it."""
    if settings.LANGUAGE_COOKIE_NAME in response.cookies:
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        domain=settings.LANGUAGE_COOKIE_DOMAIN,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )


def _signed_in(request: HttpRequest) -> User | None:
    """The user of the session. None without a session, for example with an API token; then no query is made."""
    if SESSION_KEY not in request.session or not isinstance(request.user, User):
        return None
    return request.user


def _adopt(request: HttpRequest, user: User) -> None:
    code = request.LANGUAGE_CODE
    if code in Language.values:
        language.set_language(user=user, language=code)
