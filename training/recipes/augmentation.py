"""Own the settings of what may happen to a training picture."""

import math
from dataclasses import dataclass
from typing import Final

from training.recipes.errors import require

MAGNITUDE_MAX: Final = 10.0
"""The scale of the paper: 0 does nothing, 10 is the strongest that still leaves a lesion recognisable."""

OPERATIONS_MAX: Final = 8
"""More operations on one picture than this leave nothing of it; the paper uses 1 to 3."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a training picture; each picture of a batch draws anew.

    - `flips_and_quarter_turns`: one of the eight symmetries of the square, all equally likely;
    - `crop_area_min`: smallest share of the picture a crop keeps, (0, 1];
    - `aspect_jitter`: the sides of a crop vary by up to this factor minus one, >= 0;
    - `brightness`, `contrast`, `saturation`, `hue_shift`: half-widths of the factors drawn around 1 (hue: of the three
      channel gains), [0, 1);
    - `cutout_share`: side of one blanked square as a share of the picture, [0, 1), 0 for none;
    - `randaugment_operations`: so many operations drawn from a fixed list (turn by any angle, shear, shift, sharpen or
      soften, stretch or equalise the tones) are put on each picture (RandAugment, Cubuk et al. 2020), 0 for none;
    - `randaugment_magnitude`: how strong each of them is, 0 to 10.
    """

    flips_and_quarter_turns: bool = True
    crop_area_min: float = 0.65
    aspect_jitter: float = 0.15
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.15
    hue_shift: float = 0.05
    cutout_share: float = 0.0
    randaugment_operations: int = 0
    randaugment_magnitude: float = 5.0

    def __post_init__(self) -> None:
        require(0.0 < self.crop_area_min <= 1.0, "crop_area_min lies in (0, 1].")
        require(0.0 <= self.aspect_jitter < math.inf, "aspect_jitter is not negative.")
        for name in ("brightness", "contrast", "saturation", "hue_shift", "cutout_share"):
            require(0.0 <= getattr(self, name) < 1.0, f"{name} lies in [0, 1).")
        require(
            0 <= self.randaugment_operations <= OPERATIONS_MAX, f"randaugment_operations lies in 0 to {OPERATIONS_MAX}."
        )
        require(
            0.0 <= self.randaugment_magnitude <= MAGNITUDE_MAX,
            f"randaugment_magnitude lies in 0 to {MAGNITUDE_MAX:g}.",
        )
