"""RandAugment (Cubuk et al. 2020, "RandAugment: practical automated data augmentation").

A few operations are drawn from a fixed list, all at one magnitude. NumPy and PIL only. The list has the operations of
the paper that do not change a diagnosis: turning, shearing, shifting, sharpening, stretching and equalising tones.
Solarise, posterise and invert are left out, because colour is part of the diagnosis. Brightness, contrast and
saturation have separate settings in `Augmentation`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from recognition.recipes.phases import MAGNITUDE_MAX

TURN_MAX: Final = math.pi / 4
"""Largest turn, radians in both directions. Together with quarter turns every angle is possible."""

SHEAR_MAX: Final = 0.3
SHIFT_MAX: Final = 0.2
"""Largest shift, as a share of the side. The paper's largest (0.45) would move a large lesion out of the picture."""

SHARPNESS_MAX: Final = 0.9
"""PIL's factor runs from 0.1 (soft) to 1.9 (sharp)."""

# (a, b, c, d): where the pixel at (x, y), counted from the centre in half sides, comes from: (a x + b y, c x + d y).
_Map = tuple[float, float, float, float]


def rand_augmented(
    pixels: NDArray[np.float32], *, operations: int, magnitude: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """The picture after `operations` random operations, float32 (S, S, 3) in [0, 255], of the same shape.

    `magnitude` is in [0, 10]; 0 only rounds to whole grey levels. Areas from outside the picture are filled with its
    reflection, because the network could learn black corners.
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
    # The same stretch for all channels: different ones would change the hue.
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
"""Each takes an RGB picture and a strength in [-1, 1] (for the tones its sign does not count); the size stays."""


def _moved(picture: Image.Image, along: _Map, *, across: float = 0.0, down: float = 0.0) -> Image.Image:
    """The picture after an affine map about its centre, bilinear, filled with its reflection."""
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
