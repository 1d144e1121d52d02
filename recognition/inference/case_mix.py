"""The case mix: how often each diagnosis comes, in the world that probabilities are about.

Training with logit adjustment gives probabilities of a world in which all eight diagnoses are equally frequent. In a
clinic two of three pigmented spots are moles. The log shares of a case mix, added to the logits, correct for that
(Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities").
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CODES

SUM_TOLERANCE: Final = 1e-3
"""Shares may be rounded to some decimals; they are divided by their sum."""

SHARE_MIN: Final = 1e-6
"""Least share in a logarithm: a diagnosis with share 0 is answered as good as never."""

FILE_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class CaseMix:
    """The share of each diagnosis, (8,) in the order of `CODES`, and a name for people.

    Shares are divided by their sum. Raises ValueError unless they are eight numbers from 0 that add up to about 1.
    """

    name: str
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shares) != len(CODES) or not all(math.isfinite(each) and each >= 0 for each in self.shares):
            raise ValueError(f"A case mix has {len(CODES)} shares, each a number from 0.")
        total = math.fsum(self.shares)
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise ValueError(f"The shares of a case mix add up to {total:g}, not to 1.")
        object.__setattr__(self, "shares", tuple(each / total for each in self.shares))

    @property
    def log_shares(self) -> NDArray[np.float64]:
        """The natural logarithms of the shares, (8,)."""
        return np.log(np.maximum(self.shares, SHARE_MIN))

    def weights(self, labels: NDArray[np.integer]) -> NDArray[np.float64]:
        """A weight for each picture, (N,) with mean 1, so that the diagnoses weigh together as in this mix.

        `labels` (N,) are positions in `CODES`. A diagnosis without a picture leaves its share to the others.
        """
        counts = np.bincount(labels, minlength=len(CODES))
        weights = np.asarray(self.shares)[labels] / counts[labels]
        mean = weights.mean() if weights.size else 1.0
        # A mix may hold none of these diagnoses; then all pictures weigh the same.
        return np.asarray(weights / mean if mean > 0 else np.ones(labels.size))

    def is_like(self, other: "CaseMix") -> bool:
        """Whether the shares are the same, whatever the names: a file may have any name."""
        return all(
            math.isclose(one, two, abs_tol=SHARE_MIN) for one, two in zip(self.shares, other.shares, strict=True)
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the manifest and for a JSON column."""
        return {"name": self.name, "shares": dict(zip(CODES, self.shares, strict=True))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
        if set(values["shares"]) != set(CODES):
            raise ValueError(f"The shares of a case mix are those of {' '.join(CODES)}.")
        try:
            shares = tuple(float(values["shares"][code]) for code in CODES)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        return cls(str(values["name"]), shares)


BALANCED: Final = CaseMix("balanced", (1 / len(CODES),) * len(CODES))
"""All eight equally frequent: the view of the ISIC 2019 metric."""

_HAM10000_IMAGES: Final = {
    "MEL": 1113, "NV": 6705, "BCC": 514, "AK": 130, "BKL": 1099, "DF": 115, "VASC": 142, "SCC": 197,
}  # fmt: skip

HAM10000: Final = CaseMix(
    "HAM10000", tuple(count / sum(_HAM10000_IMAGES.values()) for count in _HAM10000_IMAGES.values())
)
"""The 10,015 images of HAM10000 as ISIC 2019 labels them: dermatoscopy of spots that people had looked at in two
clinics (Tschandl et al. 2018). Counted in the official tables, ISIC_0024306 to ISIC_0034320."""


def read_case_mix(path: Path) -> CaseMix:
    """The case mix of a JSON file: an object with a share for each of the eight codes.

    Raises ValueError with a sentence for a file that cannot be read or says something else.
    """
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(FILE_MAX_BYTES))
        return CaseMix.from_json({"name": path.stem, "shares": values})
    except OSError as error:
        raise ValueError(f"The case mix {path} cannot be read: {error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"The case mix {path} is not a JSON object with a share for each of {' '.join(CODES)}: {error}"
        ) from error
