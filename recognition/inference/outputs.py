"""What the network and the gates measured of one picture: enough to assess it again without picture or network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.ood import colour_statistics
from recognition.inference.quality import QualityMeasures, measure_quality
from recognition.taxonomy import CODES


@dataclass(frozen=True, slots=True, eq=False)
class PictureStatistics:
    """What the gates measure on the picture itself: its quality, and `colours` (6,), see `ood.colour_statistics`."""

    quality: QualityMeasures
    colours: NDArray[np.float64]

    @classmethod
    def of(cls, picture: Image.Image, reference: Image.Image, *, reference_long_side: int) -> Self:
        """Measure the upright RGB picture; `reference` is the same picture at reference scale."""
        return cls(
            measure_quality(picture, reference=reference),
            colour_statistics(reference, reference_long_side=reference_long_side),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PictureOutputs:
    """The measurements of one picture.

    - `logits`: float64 (8,), averaged over the views, before calibration;
    - `dermoscopic`: the probability of the image-type head, None if the bundle has none;
    - `quality`: None if only pixels were given;
    - `ood`: the OOD score for each kind of picture that the bundle has a detector for.
    """

    logits: NDArray[np.float64]
    dermoscopic: float | None = None
    quality: QualityMeasures | None = None
    ood: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a JSON column."""
        return {
            "logits": [float(each) for each in self.logits],
            "dermoscopic": self.dermoscopic,
            "quality": None if self.quality is None else asdict(self.quality),
            "ood": dict(self.ood),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError, KeyError or TypeError for anything else."""
        logits = np.array([float(each) for each in values["logits"]], dtype=np.float64)
        if logits.shape != (len(CODES),) or not np.all(np.isfinite(logits)):
            raise ValueError(f"The logits of a picture are {len(CODES)} finite numbers.")
        return cls(
            logits=logits,
            dermoscopic=None if values["dermoscopic"] is None else float(values["dermoscopic"]),
            quality=None if values["quality"] is None else QualityMeasures(**values["quality"]),
            ood={str(name): float(score) for name, score in values["ood"].items()},
        )
