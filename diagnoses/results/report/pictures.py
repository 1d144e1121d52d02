"""The pictures of the report: small enough for e-mail, with their aspect ratio."""

import io
import logging
from dataclasses import dataclass
from typing import Final

from django.core.files.storage import default_storage
from PIL import Image

logger = logging.getLogger(__name__)

LONGEST_SIDE: Final = 1400
"""Pixels. At 8 cm width that is 440 dots per inch, and a report is well below a megabyte."""

SMALL_SIDE: Final = 600
"""Pixels of the heatmap's picture, which is printed small and has little detail."""

HEATMAP_STRENGTH: Final = 0.75
"""The opacity of the heatmap, as on the page."""

QUALITY: Final = 88


@dataclass(frozen=True)
class ReportPicture:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def photo_picture(file_name: str | None) -> ReportPicture | None:
    """The photo, or None if its file is missing or unreadable; then the report has no picture."""
    picture = _open(file_name)
    return None if picture is None else _finished(picture)


def heatmap_picture(photo_name: str | None, heatmap_name: str | None) -> ReportPicture | None:
    """The photo with the heatmap over it, or None if one of the two is missing."""
    picture, heatmap = _open(photo_name), _open(heatmap_name, mode="RGBA")
    if picture is None or heatmap is None:
        return None
    picture.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS)
    heatmap = heatmap.resize(picture.size, Image.Resampling.BILINEAR)
    strength = heatmap.getchannel("A").point([round(level * HEATMAP_STRENGTH) for level in range(256)])
    picture.paste(heatmap.convert("RGB"), mask=strength)
    return _finished(picture)


def _open(file_name: str | None, *, mode: str = "RGB") -> Image.Image | None:
    if not file_name:
        return None
    try:
        with default_storage.open(file_name) as file, Image.open(file) as stored:
            # Decodes a large JPEG at reduced size. Other formats ignore this.
            stored.draft(mode, (LONGEST_SIDE, LONGEST_SIDE))
            picture = stored.convert(mode)
    except (OSError, ValueError):
        # We encoded the file, so an error means damaged storage, not an attack. UnidentifiedImageError is an OSError.
        logger.exception("A stored picture could not be read for a report: %s", file_name)
        return None
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture


def _finished(picture: Image.Image) -> ReportPicture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return ReportPicture(file.getvalue(), picture.width, picture.height)
