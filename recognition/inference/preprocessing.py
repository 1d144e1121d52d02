"""Preprocessing, the same for training and serving: from a picture to the network input.

    RGB picture, any size  ->  reference long side (area)  ->  square  ->  input size (bilinear)
                           ->  float32 (S, S, 3) in [0, 255]

The first step matters most. All training pictures have the same long side: 200 px for the first bundles, 400 px for new
recipes. A phone photo that is resized directly to the input size is far sharper than every training picture, and the
answer would depend on that.
The network normalises inside (Keras EfficientNet takes [0, 255]): do not divide by 255.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

REFERENCE_LONG_SIDE: Final = 200
"""Pixels; the long side of the pictures that the first bundles learned, and of recipes that do not say another."""

AREA: Final = "area"
BILINEAR: Final = "bilinear"
STRETCH: Final = "stretch"
PAD: Final = "pad"
CROP: Final = "crop"
FITS: Final = (STRETCH, PAD, CROP)
"""How a picture becomes square: the whole picture without its aspect ratio (as in the published recipe); the whole
picture with its reflection at two sides; or its middle."""

CHANNELS: Final = 3


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes network input; sealed in the bundle's manifest.

    - `input_size`: side of the square input, pixels;
    - `reference_long_side`: the long side to which larger pictures are reduced first, pixels;
    - `reference_resample`, `resample`: filters of the two steps; only "area" and "bilinear" exist;
    - `fit`: how the picture fills the square, one of `FITS`.

    Raises ValueError for sizes below 1 or a word this code does not know.
    """

    input_size: int
    reference_long_side: int = REFERENCE_LONG_SIDE
    reference_resample: str = AREA
    resample: str = BILINEAR
    fit: str = STRETCH

    def __post_init__(self) -> None:
        if self.input_size < 1 or self.reference_long_side < 1:
            raise ValueError("Preprocessing sizes are positive numbers of pixels.")
        for name, word, known in (
            ("reference_resample", self.reference_resample, (AREA,)),
            ("resample", self.resample, (BILINEAR,)),
            ("fit", self.fit, FITS),
        ):
            if word not in known:
                raise ValueError(f"Preprocessing {name} {word!r} is unknown; this version knows {', '.join(known)}.")

    def as_json(self) -> dict[str, object]:
        """Plain values for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Self:
        """Inverse of `as_json`; raises ValueError or TypeError when the values do not describe a preprocessing."""
        return cls(**values)  # type: ignore[arg-type]  # words and sizes are checked by __post_init__


def to_picture(picture: Image.Image | NDArray[np.uint8]) -> Image.Image:
    """An RGB PIL picture from one, or from a uint8 array (H, W, 3).

    Raises ValueError for any other mode, shape or dtype: `recognition.sandbox` converts alpha, palettes
    and 16-bit greys when it decodes a file.
    """
    if isinstance(picture, Image.Image):
        if picture.mode != "RGB":
            raise ValueError(f"The picture has mode {picture.mode}; an RGB picture is expected.")
        return picture
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != CHANNELS or array.shape[2] != CHANNELS:
        raise ValueError(f"The array is {array.dtype} {array.shape}; uint8 (H, W, 3) is expected.")
    return Image.fromarray(np.ascontiguousarray(array))


def to_reference(picture: Image.Image, *, long_side: int) -> Image.Image:
    """The picture with its long side reduced to `long_side` pixels by area averaging.

    A smaller picture is returned as it is, so that `to_input` enlarges it once instead of twice.
    """
    width, height = picture.size
    longest = max(width, height)
    if longest <= long_side:
        return picture
    scale = long_side / longest
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # PIL's BOX averages each source pixel exactly once: area interpolation, 20 to 30 ms for 12 megapixels.
    return picture.resize(size, Image.Resampling.BOX)


def to_square(picture: Image.Image, *, fit: str) -> Image.Image:
    """The picture as a square, or as it is for the fit "stretch", which `to_input` does."""
    width, height = picture.size
    if fit == STRETCH or width == height:
        return picture
    if fit == CROP:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return picture.crop((left, top, left + side, top + side))
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    borders = ((top, side - height - top), (left, side - width - left), (0, 0))
    # The reflection has no edge, and looks like more skin. A network could learn bars of one colour.
    return Image.fromarray(np.pad(np.asarray(picture), borders, mode="symmetric"))


def to_input(
    picture: Image.Image, *, input_size: int, box: tuple[float, float, float, float] | None = None
) -> NDArray[np.float32]:
    """The picture, or its part inside `box` (left, top, right, bottom, pixels), as float32 (S, S, 3) in [0, 255]."""
    resized = picture.resize((input_size, input_size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized, dtype=np.float32)


def preprocess(picture: Image.Image | NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The network input for one picture: float32 (S, S, 3) in [0, 255]. Raises ValueError as `to_picture` does."""
    reference = to_reference(to_picture(picture), long_side=preprocessing.reference_long_side)
    return to_input(to_square(reference, fit=preprocessing.fit), input_size=preprocessing.input_size)
