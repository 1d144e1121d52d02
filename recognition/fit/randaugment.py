"""Own RandAugment (Cubuk et al. 2020, "RandAugment: practical automated data augmentation"): a few operations, drawn
from a fixed list, all at one magnitude.

NumPy and PIL only. Of the paper's list we keep what leaves a diagnosis what it is: turning, shearing, shifting,
sharpening, stretching and equalising tones. Solarise, posterise and invert are left out, because colour is part of the
diagnosis; brightness, contrast and saturation have settings of their own in `Augmentation`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from recognition.recipes.phases import MAGNITUDE_MAX

TURN_MAX: Final = math.pi / 4
"""Radians either way; with quarter turns, which are a setting of their own, every angle can come about."""

SHEAR_MAX: Final = 0.3
SHIFT_MAX: Final = 0.2
"""Of the side: the paper's strongest shift (0.45) would push a lesion out of a picture it fills."""

SHARPNESS_MAX: Final = 0.9
"""PIL's factor runs from 0.1 (soft) to 1.9 (sharp)."""

# (a, b, c, d): where the pixel at (x, y), counted from the centre in half sides, comes from: (a x + b y, c x + d y).
_Map = tuple[float, float, float, float]


def rand_augmented(
    pixels: NDArray[np.float32], *, operations: int, magnitude: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """The picture after `operations` drawn operations, float32 (S, S, 3) in [0, 255], from one of the same shape.

    `magnitude` lies in 0 (nothing happens but a rounding to whole grey levels) to 10. What comes in from outside the
    picture is its own reflection: a black corner would be something to learn.
    """
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    names = list(OPERATIONS)
    for _ in range(operations):
        strength = magnitude / MAGNITUDE_MAX * float(generator.choice((-1.0, 1.0)))
        picture = OPERATIONS[names[int(generator.integers(len(names)))]](picture, strength)
    return np.asarray(picture, dtype=np.float32).copy()


def _turned(picture: Image.Image, strength: float) -> Image.Image:
    cosine, sine = math.cos(strength * TURN_MAX), math.sin(strength * TURN_MAX)
    return _moved(picture, (cosine, -sine, sine, cosine))


def _sheared_sideways(picture: Image.Image, strength: float) -> Image.Image:
    return _moved(picture, (1.0, strength * SHEAR_MAX, 0.0, 1.0))


def _sheared_upwards(picture: Image.Image, strength: float) -> Image.Image:
    return _moved(picture, (1.0, 0.0, strength * SHEAR_MAX, 1.0))


def _shifted_sideways(picture: Image.Image, strength: float) -> Image.Image:
    return _moved(picture, (1.0, 0.0, 0.0, 1.0), across=strength * SHIFT_MAX)


def _shifted_upwards(picture: Image.Image, strength: float) -> Image.Image:
    return _moved(picture, (1.0, 0.0, 0.0, 1.0), down=strength * SHIFT_MAX)


def _sharpened(picture: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Sharpness(picture).enhance(1.0 + strength * SHARPNESS_MAX)


def _stretched_tones(picture: Image.Image, strength: float) -> Image.Image:
    # One stretch for all channels: one for each would change the hue.
    return Image.blend(picture, ImageOps.autocontrast(picture, preserve_tone=True), abs(strength))


def _equalised_tones(picture: Image.Image, strength: float) -> Image.Image:
    luma, blue, red = picture.convert("YCbCr").split()
    equalised = Image.merge("YCbCr", (ImageOps.equalize(luma), blue, red)).convert("RGB")
    return Image.blend(picture, equalised, abs(strength) / 2)


OPERATIONS: Final[Mapping[str, Callable[[Image.Image, float], Image.Image]]] = {
    "turn": _turned,
    "shear sideways": _sheared_sideways,
    "shear upwards": _sheared_upwards,
    "shift sideways": _shifted_sideways,
    "shift upwards": _shifted_upwards,
    "sharpen": _sharpened,
    "stretch tones": _stretched_tones,
    "equalise tones": _equalised_tones,
}
"""Each takes an RGB picture and a strength in [-1, 1] (the tones: its size alone) and gives one of the same size."""


def _moved(picture: Image.Image, along: _Map, *, across: float = 0.0, down: float = 0.0) -> Image.Image:
    """The picture mapped about its centre, bilinear, its own reflection around it."""
    width, height = picture.size
    border = max(width, height) // 2
    pixels = np.pad(np.asarray(picture), ((border, border), (border, border), (0, 0)), mode="symmetric")
    a, b, c, d = along
    x, y = width / 2, height / 2
    return Image.fromarray(pixels).transform(
        picture.size,
        Image.Transform.AFFINE,
        (
            a, b, x - a * x - b * y + across * width + border,
            c, d, y - c * x - d * y + down * height + border,
        ),
        resample=Image.Resampling.BILINEAR,
    )  # fmt: skip
