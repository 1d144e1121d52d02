"""What the site says when something behind it is not there: not "something went wrong" but what, and when to come back.

Set as `handler500`, so that it answers whatever breaks before or outside a view as well: the session, the sign-in. The
API has words of its own (`diagnoses.api.problems`), with the same statuses.
"""

import errno
import sys
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views import defaults

# The storage cannot take another byte: nothing is wrong with the request (RELIABILITY R20).
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
RETRY_SOON: Final = 5  # seconds; a restarting database is usually back by then
RETRY_LATER: Final = 300  # seconds; a full disk needs a person


def is_storage_full(error: BaseException) -> bool:
    """Whether this is the operating system saying that there is no room."""
    return isinstance(error, OSError) and error.errno in FULL


def server_error(request: HttpRequest) -> HttpResponse:
    """503 without the database, 507 with a full disk, else the ordinary 500. No query is made for the page."""
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        return _answer(request, 503, RETRY_SOON)
    if error is not None and is_storage_full(error):
        return _answer(request, 507, RETRY_LATER)
    return defaults.server_error(request)


def _answer(request: HttpRequest, status: int, retry_after: int) -> HttpResponse:
    if "HX-Request" in request.headers:
        # Where a page asks for a part of itself, a 503 with a part is put in its place; a whole page must not be. To a
        # 500 the page says itself that it did not work, and keeps what was filled in.
        return HttpResponse(status=500, headers={"Retry-After": str(retry_after), "Cache-Control": "no-store"})
    # Without the request: its context would look for the person signed in.
    return HttpResponse(
        loader.render_to_string(f"{status}.html"),
        status=status,
        headers={"Retry-After": str(retry_after), "Cache-Control": "no-store"},
    )
