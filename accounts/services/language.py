"""The language of a person: how the choice is stored, and how to write to somebody in their language.

A visitor gets the language of the cookie, else of the browser (Django's LocaleMiddleware). A signed-in user gets the
language of the account (`accounts.middleware`). Texts that are made outside the reader's own request, such as e-mails
and reports, are made inside `in_language_of`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import translation

from accounts.models import Language, User


def language_of(user: User | None) -> str:
    """The code of the language to write to `user` in. Falls back to the default language of the installation."""
    return (user.language if user is not None else "") or settings.LANGUAGE_CODE


@contextmanager
def in_language_of(user: User | None) -> Iterator[str]:
    """Context manager: texts translated inside are in the language of `user`. Yields its code.

    Use it for e-mails, notifications and reports. Convert lazy texts to strings inside it.
    """
    language = language_of(user)
    with translation.override(language):
        yield language


def set_language(*, user: User, language: str) -> User:
    """Remember that `user` reads `language`. Raises ValueError for a language Teri does not speak."""
    chosen = Language(language)
    if user.language != chosen:
        user.language = chosen
        user.save(update_fields=["language"])
    return user
