"""The two JPEG files made of an accepted photo: a clean picture and a thumbnail, without metadata.

`is_clean_jpeg` checks that a file holds pixels only. The web process calls it on the sandbox's reply,
because it never decodes pictures itself.
"""

from __future__ import annotations

import io

from PIL import Image

#: Quality 95 without chroma subsampling (4:4:4): subsampling would blur the redness at the border of a lesion.
IMAGE_QUALITY = 95
THUMBNAIL_SIDE = 320
THUMBNAIL_QUALITY = 85

_FULL_CHROMA = 0
_HALVED_CHROMA = 2
#: SOF0, DHT, DQT, SOS and the JFIF header: all that a baseline JPEG needs. None of them can hold text.
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
            # Baseline JPEG has one scan, in which every FF is followed by 00. So the first FFD9 is the end.
            return data.find(b"\xff\xd9", position) == len(data) - 2
    return False


def _encode(image: Image.Image, *, quality: int, subsampling: int) -> bytes:
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
