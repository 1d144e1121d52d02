"""The perceptual hash of a picture (`content_hash`): near for the same picture at another size or compression."""

from __future__ import annotations

import struct
from math import cos, pi

from PIL import Image

HASH_BYTES = 32

#: Two pictures at this distance or less are taken for the same one. Measured by `python benchmarks/recognition.py`
#: on isic2019-subset (8,923 pictures at 200 px) and photos-450px (160 of them at 450 px):
#:
#: - the nearest picture of another lesion is 35 bits away, and half of all have none within 88; the two pairs of lesion
#:   ids that are closer (23 and 33 bits) are one photograph each, in two colour versions;
#: - the same picture at 450 px is found in 97.5 %; a copy at quality 75 or better always (at most 8 bits), at
#:   quality 50 in 96 %, at twice the size in 100 %, at 0.6 of it and quality 60 in 80 %.
#:
#: A false match would show a patient the diagnosis of another person; a missed match only leaves out a line of text.
SAME_PICTURE_DISTANCE = 14

#: Side of the grey miniature and of the square of lowest frequencies that is kept of its transform.
_SIDE = 32
_KEPT = 16
#: Grey levels in 64ths and cosines in 4096ths: integer arithmetic gives the same bits on every machine, and
#: an even picture gives exact zeros instead of rounding noise.
_LEVELS = 64
_COSINES = [[round(4096 * cos(pi * (2 * x + 1) * u / (2 * _SIDE))) for x in range(_SIDE)] for u in range(_KEPT)]
#: Larger pictures are averaged down to about this side first: ten times faster than converting them whole.
_COARSE_SIDE = 256


def content_hash(image: Image.Image) -> bytes:
    """256 bits: the signs of the 16 x 16 lowest frequencies of a 32 x 32 grey miniature (the mean gives 0).

    `image`: upright 8-bit RGB of any size, as `read_image` returns it. Returns HASH_BYTES bytes. It is a DCT
    hash like pHash, in exact integers. A hash of neighbouring differences (dHash) does not work here: most lesions
    are one dark spot on even skin, and such hashes agree by chance.
    """
    coarse = image.reduce(max(1, max(image.size) // _COARSE_SIDE)) if max(image.size) > _COARSE_SIDE else image
    # 32-bit floats: rounding to whole grey levels would change the sign of weak frequencies.
    small = coarse.convert("L").convert("F").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    levels = [round(_LEVELS * value) for value in struct.unpack(f"{_SIDE * _SIDE}f", small.tobytes())]
    mean = round(sum(levels) / len(levels))
    rows = [[level - mean for level in levels[start : start + _SIDE]] for start in range(0, len(levels), _SIDE)]
    across = [[sum(map(int.__mul__, wave, row)) for wave in _COSINES] for row in rows]
    columns = [[line[u] for line in across] for u in range(_KEPT)]
    bits = 0
    for v, wave in enumerate(_COSINES):
        for u, column in enumerate(columns):
            positive = (u or v) and sum(map(int.__mul__, wave, column)) > 0
            bits = bits << 1 | bool(positive)
    return bits.to_bytes(HASH_BYTES, "big")


def hash_distance(one: bytes, other: bytes) -> int:
    """Number of differing bits of two hashes of 32 bytes, 0 to 256."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
