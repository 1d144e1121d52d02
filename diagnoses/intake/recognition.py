"""Recognising the same picture at another size or compression.

Owns the perceptual hash (`content_hash`) and what counts as the same picture.
"""

from __future__ import annotations

from PIL import Image

HASH_BYTES = 32
_SIDE = 16


def content_hash(image: Image.Image) -> bytes:
    """256 bits: whether each cell of a 17 x 16 grey miniature is brighter than its left neighbour.

    `image`: upright 8-bit RGB of any size. Returns HASH_BYTES bytes.
    """
    small = image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    grey = small.tobytes()
    bits = 0
    for row in range(_SIDE):
        start = row * (_SIDE + 1)
        for column in range(start, start + _SIDE):
            bits = bits << 1 | (grey[column + 1] > grey[column])
    return bits.to_bytes(HASH_BYTES, "big")


def hash_distance(one: bytes, other: bytes) -> int:
    """Number of differing bits, 0 to 256."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
