"""What the cage makes of one file: the clean picture, the thumbnail, and the facts about both.

Owns the names of the facts that cross from the cage to the web process.
"""

from __future__ import annotations

from PIL import Image

from recognition.sandbox.decode import decode_photo
from recognition.sandbox.derivatives import encode_clean, encode_thumbnail
from recognition.sandbox.perceptual_hash import content_hash
from recognition.sandbox.policy import IntakeLimits


def build_reply(data: bytes, *, limits: IntakeLimits) -> tuple[dict[str, object], list[bytes]]:
    """Decode `data` and return JSON-ready facts and the two encoded pictures. Raises PhotoRejected."""
    # Pillow's own guard, lowered to ours: a second opinion should a plugin change size behind our back.
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    photo = decode_photo(data, limits=limits)
    picture = encode_clean(photo.image)
    thumbnail = encode_thumbnail(photo.image)
    facts: dict[str, object] = {
        "image_bytes": len(picture),
        "thumbnail_bytes": len(thumbnail),
        "width": photo.image.width,
        "height": photo.image.height,
        "content_hash": content_hash(photo.image).hex(),
        "original_format": photo.format,
        "original_width": photo.width,
        "original_height": photo.height,
    }
    return facts, [picture, thumbnail]
