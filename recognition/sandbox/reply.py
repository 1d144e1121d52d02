"""The reply of the sandbox child about one file: the clean picture, the thumbnail, and facts about both."""

from __future__ import annotations

from PIL import Image

from recognition.sandbox.decode import decode_photo
from recognition.sandbox.derivatives import encode_clean, encode_thumbnail
from recognition.sandbox.perceptual_hash import content_hash
from recognition.sandbox.policy import IntakeLimits


def build_reply(data: bytes, *, limits: IntakeLimits) -> tuple[dict[str, object], list[bytes]]:
    """Decode `data`; return the facts as JSON values, and the two JPEG files. Raises PhotoRejected."""
    # Pillow checks the size once more, in case a plugin changes it while decoding.
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
