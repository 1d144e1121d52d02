"""Own how a private file leaves the server: streamed by a view that has already asked who is asking (RELIABILITY R9).

Pages, API and admin all answer with `stream`. No URL maps to the media root, nothing is cached on the way, and
whatever the bytes are, a browser runs none of them.
"""

import logging
from typing import Final

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404

logger = logging.getLogger(__name__)

# Set here, so django-csp (which never overwrites a header) leaves it: a stored file may load and run nothing at all.
PRIVATE_HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def stream(file_name: str | None, content_type: str, download_name: str) -> FileResponse:
    """Stream one file of the default storage to somebody who may see it; the caller has checked that.

    `content_type` and `download_name` are chosen by the server, never taken from an upload. Raises Http404 and logs
    when the storage does not have the file: the row says it should be there.
    """
    try:
        # Django calls the name of an empty file field None; no row here has one.
        file = default_storage.open(file_name or "")
    except (FileNotFoundError, IsADirectoryError):
        logger.error("A stored file is missing: %s", file_name)
        raise Http404 from None
    response = FileResponse(file, filename=download_name, content_type=content_type)
    for name, value in PRIVATE_HEADERS.items():
        response.headers[name] = value
    return response
