"""What is kept of an accepted photo: a clean picture and a thumbnail.

Owns the re-encode and the proof that its output carries pixels only. The web process never decodes
either of them; it checks the markers of what the cage handed back (`is_clean_jpeg`).
"""

from __future__ import annotations

import io

from PIL import Image

#: 4:4:4 at 95: the redness at the border of a lesion is a finding, and chroma subsampling blurs just that.
IMAGE_QUALITY = 95
THUMBNAIL_SIDE = 320
THUMBNAIL_QUALITY = 85

_FULL_CHROMA = 0
_HALVED_CHROMA = 2
#: SOF0, DHT, DQT, SOS and the JFIF header: everything a baseline picture needs, and no place for a word.
_ALLOWED_MARKERS = frozenset({0xC0, 0xC4, 0xDB, 0xDA, 0xE0})
_JFIF_LENGTH = 16


def encode_clean(image: Image.Image) -> bytes:
    """`image` (RGB, any size) as a baseline JPEG at full chroma resolution, with no metadata."""
    return _encode(image, quality=IMAGE_QUALITY, subsampling=_FULL_CHROMA)


def encode_thumbnail(image: Image.Image) -> bytes:
    """`image` (RGB) with its longer side at most THUMBNAIL_SIDE px, as a small JPEG with no metadata."""
    longest = max(image.size)
    if longest > THUMBNAIL_SIDE:
        width, height = (max(1, round(side * THUMBNAIL_SIDE / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _encode(image, quality=THUMBNAIL_QUALITY, subsampling=_HALVED_CHROMA)


def is_clean_jpeg(data: bytes) -> bool:
    """True if `data` is one baseline JPEG holding pixels, tables and a bare JFIF header, and nothing after it."""
    if not (data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")):
        return False
    position = 2
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker not in _ALLOWED_MARKERS or (marker == 0xE0 and length != _JFIF_LENGTH):
            return False
        position += 2 + length
        if marker == 0xDA:
            # Baseline: one scan, in which FF is always stuffed, so the first FFD9 is the end.
            return data.find(b"\xff\xd9", position) == len(data) - 2
    return False


def _encode(image: Image.Image, *, quality: int, subsampling: int) -> bytes:
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
