"""The language a person reads: which they are, how the choice is kept, and writing to somebody in theirs.

A visitor is answered in the language of their cookie, else of their browser (Django's LocaleMiddleware); somebody
signed in, in the language of their account (`accounts.middleware`). What reaches a person outside their own request,
such as an e-mail or a report, is made inside `in_language_of`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import translation

from accounts.models import Language, User


def language_of(user: User | None) -> str:
    """The code of the language to write to `user` in; the language of the installation where nothing is known."""
    return (user.language if user is not None else "") or settings.LANGUAGE_CODE


@contextmanager
def in_language_of(user: User | None) -> Iterator[str]:
    """Everything translated within is in the language of `user`; yields its code.

    For all that is written to somebody: e-mails, notifications, reports. Lazy texts must be made strings inside.
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
