"""The first gate, picture quality: is a picture sharp, light and large enough?

All is measured at the reference scale of the preprocessing, because details that are lost there
cannot change the answer, and in the middle three quarters of the picture, because the dark corners of a dermatoscope
are normal. Luminance is Rec. 601, 0 to 255.

Not measured: whether the border cuts off the lesion. An Otsu mask that touches the border was tried. Many good pictures
show lesions that fill the frame; with a limit that refuses 0.5 % of these, none of the cut lesions was found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.assessment import Gate, GateResult
from recognition.inference.preprocessing import REFERENCE_LONG_SIDE, to_reference

MARGIN: Final = 8
"""One eighth of the width or height is left out at every border."""

CLIPPED: Final = 250
"""Luminance from which a pixel counts as overexposed (JPEG noise keeps it a little below 255)."""

REFUSED_SHARE: Final = 0.002
"""Share of the good pictures that each sealed limit may refuse: five limits together at most one picture in 100."""

DARK_SKIN_MARGIN: Final = 0.3
"""The limit for "too dark" is this share of the brightness of the darkest training pictures. They show mostly fair
skin: without the margin, a well-lit photo of dark skin would be refused."""

PERCENT: Final = 100.0

CLIPPED_SHARE_MIN: Final = 0.2
"""Least limit for the overexposed share: less than a fifth is common with a flash."""

LONG_SIDE_MIN: Final = 120.0
"""Least long side in pixels, whatever the reference scale: a coarser picture shows too little of a lesion. A picture
between this and the reference scale is enlarged with the step to the network's input."""


@dataclass(frozen=True, slots=True)
class QualityMeasures:
    """The quality measures of one picture.

    - `long_side`: of the uploaded picture, pixels;
    - `bright`: 95th percentile of the luminance, 0 to 255;
    - `contrast`: (95th - 5th percentile) / 95th percentile, 0 to 1;
    - `clipped`: share of overexposed pixels, 0 to 1;
    - `sharpness`: variance of the Laplacian (Pech-Pacheco et al. 2000) in per cent of `bright`. Crété's blur effect and
      the ratio of two Laplacians were compared on pictures blurred by 1 to 4 px: at 1 % refused of the good ones the
      variance found 66 % of the slightly and 99 % of the clearly blurred, the others 31 to 93 % and 40 to 97 %.

    Contrast and sharpness are relative to the brightness. Absolute ones found as much blur but refused a quarter of the
    good pictures at half their light, which is about how dark skin differs from fair skin. Relative ones refuse none of
    these.
    """

    long_side: float
    bright: float
    contrast: float
    clipped: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The sealed limits of the quality gate, in the units of `QualityMeasures`: least values, except `clipped_max`.

    Raises ValueError for a limit that is negative or not finite.
    """

    long_side_min: float
    bright_min: float
    clipped_max: float
    contrast_min: float
    sharpness_min: float

    def __post_init__(self) -> None:
        if not all(np.isfinite(limit) and limit >= 0 for limit in asdict(self).values()):
            raise ValueError("A quality limit is a number from 0.")

    def as_json(self) -> dict[str, float]:
        """Plain values for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError, TypeError or KeyError when a limit is missing or no number."""
        return cls(**{name: float(values[name]) for name in cls.__dataclass_fields__})


DEFAULT_LIMITS: Final = QualityLimits(
    long_side_min=LONG_SIDE_MIN,
    bright_min=38.0,
    clipped_max=CLIPPED_SHARE_MIN,
    contrast_min=0.133,
    sharpness_min=2.65,
)
"""For bundles without limits: the result of `limits_from` for 900 pictures of isic2019-subset."""


def measure_quality(picture: Image.Image, *, reference: Image.Image | None = None) -> QualityMeasures:
    """Measure one upright RGB picture; `reference` is the same picture at reference scale, if it is already there."""
    if reference is None:
        reference = to_reference(picture, long_side=REFERENCE_LONG_SIDE)
    grey = np.asarray(reference.convert("L"), dtype=np.float32)
    height, width = grey.shape
    middle = grey[height // MARGIN : height - height // MARGIN, width // MARGIN : width - width // MARGIN]
    dark, bright = np.maximum(np.percentile(middle, [5, 95]), 1.0)  # avoids a division by 0 for a black picture
    relative = PERCENT * middle / np.float32(bright)
    return QualityMeasures(
        long_side=float(max(picture.size)),
        bright=float(bright),
        contrast=float((bright - dark) / bright),
        clipped=float(np.mean(middle >= CLIPPED)),
        sharpness=float(_laplacian(relative).var()) if min(middle.shape) > 2 else 0.0,  # no pixel has four neighbours
    )


def check_quality(measures: QualityMeasures, limits: QualityLimits) -> GateResult:
    """The result of the first gate; of several limits that are not met, the first in this order is given."""
    for code, measured, limit, met in (
        ("too_small", measures.long_side, limits.long_side_min, measures.long_side >= limits.long_side_min),
        ("too_dark", measures.bright, limits.bright_min, measures.bright >= limits.bright_min),
        ("too_bright", measures.clipped, limits.clipped_max, measures.clipped <= limits.clipped_max),
        ("low_contrast", measures.contrast, limits.contrast_min, measures.contrast >= limits.contrast_min),
        ("blurred", measures.sharpness, limits.sharpness_min, measures.sharpness >= limits.sharpness_min),
    ):
        if not met:
            return GateResult(Gate.QUALITY, False, code, measured, limit)
    return GateResult(Gate.QUALITY, True)


def limits_from(measures: Sequence[QualityMeasures]) -> QualityLimits:
    """The limits from good pictures: their extreme quantiles, adjusted by the constants of this module.

    Raises ValueError without pictures.
    """
    if not measures:
        raise ValueError("Limits need pictures to come from.")

    def least(name: str) -> float:
        return float(np.quantile([getattr(each, name) for each in measures], REFUSED_SHARE))

    return QualityLimits(
        long_side_min=min(LONG_SIDE_MIN, least("long_side")),
        bright_min=DARK_SKIN_MARGIN * least("bright"),
        clipped_max=max(
            CLIPPED_SHARE_MIN, float(np.quantile([each.clipped for each in measures], 1.0 - REFUSED_SHARE))
        ),
        contrast_min=least("contrast"),
        sharpness_min=least("sharpness"),
    )


def _laplacian(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(
        4.0 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:], dtype=np.float32
    )
