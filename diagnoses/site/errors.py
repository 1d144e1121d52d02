"""The error pages for a lost database and a full disk: they say what is wrong and when to try again.

Used as `handler500`, so that it also handles errors outside of views, such as in the session or the sign-in. The API
has its own texts with the same statuses (`diagnoses.api.problems`).
"""

import errno
import sys
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views import defaults

# The storage is full. The request itself is valid (RELIABILITY R20).
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
RETRY_SOON: Final = 5  # seconds; a restarting database is usually back by then
RETRY_LATER: Final = 300  # seconds; a full disk needs a person


def is_storage_full(error: BaseException) -> bool:
    """Whether this is the operating system's error for a full disk."""
    return isinstance(error, OSError) and error.errno in FULL


def server_error(request: HttpRequest) -> HttpResponse:
    """503 without the database, 507 with a full disk, else the ordinary 500. The page needs no query."""
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        return _answer(request, 503, RETRY_SOON)
    if error is not None and is_storage_full(error):
        return _answer(request, 507, RETRY_LATER)
    return defaults.server_error(request)


def _answer(request: HttpRequest, status: int, retry_after: int) -> HttpResponse:
    if "HX-Request" in request.headers:
        # htmx would put the content of a 503 in place of the fragment, and this is a whole page. After a 500 the page
        # itself says that the request failed, and keeps the form.
        return HttpResponse(status=500, headers={"Retry-After": str(retry_after), "Cache-Control": "no-store"})
    # Without the request: its context processors would query the signed-in user.
    return HttpResponse(
        loader.render_to_string(f"{status}.html"),
        status=status,
        headers={"Retry-After": str(retry_after), "Cache-Control": "no-store"},
    )
