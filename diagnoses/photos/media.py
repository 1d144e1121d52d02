"""Streams private files from views that have checked permission (RELIABILITY R9).

Pages, API and admin all use `stream`. No URL maps to the media root, nothing is cached, and the headers prevent a
browser from running the content.
"""

import logging
from typing import Final

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404

logger = logging.getLogger(__name__)

# A stored file may load and run nothing. django-csp does not overwrite an existing header.
PRIVATE_HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def stream(file_name: str | None, content_type: str, download_name: str) -> FileResponse:
    """Stream one file of the default storage. The caller must have checked permission.

    `content_type` and `download_name` are chosen by the server, never taken from an upload. If the storage does not
    have the file, that is logged and Http404 is raised.
    """
    try:
        # The name of an empty file field is None. No row here has an empty one.
        file = default_storage.open(file_name or "")
    except (FileNotFoundError, IsADirectoryError):
        logger.error("A stored file is missing: %s", file_name)
        raise Http404 from None
    response = FileResponse(file, filename=download_name, content_type=content_type)
    for name, value in PRIVATE_HEADERS.items():
        response.headers[name] = value
    return response
