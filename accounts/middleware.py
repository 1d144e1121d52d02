"""The language of whoever is signed in, on whatever device they read; and 403 for what a service does not allow."""

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

# Answered without asking who is there: the database may be what does not answer.
WITHOUT_PEOPLE: Final = ("/health/",)


class AccountLanguageMiddleware:
    """Answers in the language of the account; stands behind LocaleMiddleware and AuthenticationMiddleware.

    A sign-in with an account that has no language yet gives it the one of the page. The cookie follows the account, so
    that the page keeps its language after signing out.
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
    """Turns the services' `NotAllowed` into Django's answer to what is forbidden, the 403 page.

    Without the service's message, which is not translated.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Only what a view or its template raised; Django takes PermissionDenied from here."""
        if isinstance(exception, NotAllowed):
            raise PermissionDenied from exception


def activate(request: HttpRequest, code: str) -> None:
    """Answer this request in the language `code`."""
    translation.activate(code)
    request.LANGUAGE_CODE = code


def remember(response: HttpResponse, code: str) -> None:
    """Let the browser ask for the language `code` from now on, unless the response has said so already."""
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
    """Whose session this is. Nobody's where there is none, such as behind an API token; then nothing is queried."""
    if SESSION_KEY not in request.session or not isinstance(request.user, User):
        return None
    return request.user


def _adopt(request: HttpRequest, user: User) -> None:
    code = request.LANGUAGE_CODE
    if code in Language.values:
        language.set_language(user=user, language=code)
