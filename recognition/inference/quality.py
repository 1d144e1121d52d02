"""Own the first gate: whether a picture is sharp, lit and large enough to be judged.

Everything is measured on the reference scale of the preprocessing (long side 200 px) and on the middle three quarters
of the picture: blur, glare and dark that are gone at that scale cannot change the answer, and the dark corners of a
dermatoscope are no fault. Luminance is Rec. 601, 0 to 255.

Not measured: whether the lesion is cut off by the border. An Otsu mask that touches the border was tried; many good
pictures show lesions that fill the frame, and at 0.5 % refused of them it caught none of the deliberately cut ones.
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
"""One part in so many is left out at every border."""

CLIPPED: Final = 250
"""Luminance from which a pixel holds no detail any more (JPEG rings a little below 255)."""

REFUSED_SHARE: Final = 0.002
"""Share of the good pictures that each sealed limit may refuse: five limits together at most one picture in 100."""

DARK_SKIN_MARGIN: Final = 0.3
"""The limit for "too dark" is three tenths of what the data's darkest pictures have. They show mostly fair skin, and a
limit at their own border would call well-lit dark skin a bad photo."""

PERCENT: Final = 100.0

CLIPPED_SHARE_MIN: Final = 0.2
"""Glare on a fifth of the picture is a fault; less is common with a flash, and the data hold next to none."""

SIZE_SHARE: Final = 0.6
"""A long side of 60 % of the reference scale: 120 px. Below it a lesion was never seen so coarsely."""


@dataclass(frozen=True, slots=True)
class QualityMeasures:
    """What is measured of one picture.

    - `long_side`: of the uploaded picture, pixels;
    - `bright`: 95th percentile of the luminance, 0 to 255;
    - `contrast`: its distance to the 5th, as a share of it, 0 to 1;
    - `clipped`: share of pixels without detail, 0 to 1;
    - `sharpness`: variance of the Laplacian (Pech-Pacheco et al. 2000) in per cent of `bright`. Crété's blur effect and
      the ratio of two Laplacians were compared on pictures blurred by 1 to 4 px: at 1 % refused of the good ones the
      variance found 66 % of the slightly and 99 % of the clearly blurred, the others 31 to 93 % and 40 to 97 %.

    Contrast and sharpness are relative to the light. In grey levels they found as much blur, and refused a quarter of
    the good pictures at half their light, which is how dark skin looks beside fair; relative ones refuse none of them.
    """

    long_side: float
    bright: float
    contrast: float
    clipped: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Sealed limits: all are least values but `clipped_max`. Raises ValueError for what cannot be a limit."""

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
    long_side_min=SIZE_SHARE * REFERENCE_LONG_SIDE,
    bright_min=38.0,
    clipped_max=CLIPPED_SHARE_MIN,
    contrast_min=0.133,
    sharpness_min=2.65,
)
"""For bundles sealed before there were gates: what `limits_from` gave on 900 pictures of the ISIC 2019 subset."""


def measure_quality(picture: Image.Image, *, reference: Image.Image | None = None) -> QualityMeasures:
    """The measures of one upright RGB picture; `reference` is the same at its reference scale, where it is at hand."""
    if reference is None:
        reference = to_reference(picture, long_side=REFERENCE_LONG_SIDE)
    grey = np.asarray(reference.convert("L"), dtype=np.float32)
    height, width = grey.shape
    middle = grey[height // MARGIN : height - height // MARGIN, width // MARGIN : width - width // MARGIN]
    dark, bright = np.maximum(np.percentile(middle, [5, 95]), 1.0)  # black has no contrast
    relative = PERCENT * middle / np.float32(bright)
    return QualityMeasures(
        long_side=float(max(picture.size)),
        bright=float(bright),
        contrast=float((bright - dark) / bright),
        clipped=float(np.mean(middle >= CLIPPED)),
        sharpness=float(_laplacian(relative).var()) if min(middle.shape) > 2 else 0.0,  # its own size
    )


def check_quality(measures: QualityMeasures, limits: QualityLimits) -> GateResult:
    """The first gate: the first limit that is not met, in the order in which a person would mend it."""
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


def limits_from(measures: Sequence[QualityMeasures], *, reference_long_side: int) -> QualityLimits:
    """Limits out of good pictures: their own extremes, and where those would be unfair or say nothing, the constants.

    Raises ValueError without a picture.
    """
    if not measures:
        raise ValueError("Limits need pictures to come from.")

    def least(name: str) -> float:
        return float(np.quantile([getattr(each, name) for each in measures], REFUSED_SHARE))

    return QualityLimits(
        long_side_min=min(SIZE_SHARE * reference_long_side, least("long_side")),
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
