"""Own what age, sex and site add to the answer, in NumPy, after the network of the picture has spoken.

    logits = network(picture) + (description - mean) @ kernel,   an unknown field counting as its mean

- **What is unknown adds nothing**, exactly: there is no bias, and no flag says that a field is known. A picture without
  metadata gets the answer of the picture alone, from the same graph.
- **That a field is known adds nothing on average**: `mean` is that of the training pictures in which the field is
  known, so over those the additions of each field cancel out. In ISIC 2019 7.8 % of the images without a site are
  malignant, and 33.4 % of all: a head that could see *whether* a site is known would learn which hospital a picture
  came from, and would frighten or calm a patient for filling in a form. This one can only learn *which* site, sex, age.

Linear on purpose: three small tables, which a person can read. The age has corners at 30, 50 and 70 years, because the
odds of most diagnoses do not change evenly through life.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.inference.bundle import Bundle, BundleError, read_tensors
from recognition.inference.network import METADATA_PREFIX
from recognition.taxonomy import AGES_APPROX, CODES, SEXES, SITES

AGE_CORNERS: Final = (30, 50, 70)
AGE_UNIT: Final = 25.0
"""Years that count as much as one word."""

GAIN: Final = 8.0
"""What a word, or an `AGE_UNIT`, counts as instead of 1. An adaptive optimiser moves every weight by about its learning
rate a step; the rate that suits a trained backbone would leave this young head at a fraction of a logit at the end."""

FIELDS: Final[Mapping[str, slice]] = {
    "age_approx": slice(0, 1 + len(AGE_CORNERS)),
    "sex": slice(1 + len(AGE_CORNERS), 1 + len(AGE_CORNERS) + len(SEXES)),
    "anatom_site_general": slice(1 + len(AGE_CORNERS) + len(SEXES), 1 + len(AGE_CORNERS) + len(SEXES) + len(SITES)),
}
"""Columns of a description by field."""

WIDTH: Final = 1 + len(AGE_CORNERS) + len(SEXES) + len(SITES)

KERNEL: Final = f"{METADATA_PREFIX}kernel"
MEAN: Final = f"{METADATA_PREFIX}mean"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known beside the picture, in the words of ISIC 2019; None, "" and NaN are unknown.

    Unknown as well is an age below 0, and a word that is not of `SEXES` or `SITES`: metadata is extra, and a photo is
    not refused for it.
    """

    age_approx: float | None = None
    sex: str | None = None
    anatom_site_general: str | None = None


def described(records: Sequence[Metadata | None]) -> NDArray[np.float32]:
    """Descriptions, float32 (N, WIDTH), NaN where a field is unknown."""
    table = np.full((len(records), WIDTH), np.nan, dtype=np.float32)
    for row, record in zip(table, records, strict=True):
        if record is None:
            continue
        age = record.age_approx
        if age is not None and math.isfinite(age) and age >= 0:
            # The data say nothing about people older than this; the line is not drawn out beyond it.
            years = min(float(age), AGES_APPROX[-1])
            row[FIELDS["age_approx"]] = [years / AGE_UNIT, *(max(years - each, 0) / AGE_UNIT for each in AGE_CORNERS)]
        for name, words in (("sex", SEXES), ("anatom_site_general", SITES)):
            if (word := getattr(record, name)) in words:
                row[FIELDS[name]] = [float(word == each) for each in words]
    return GAIN * table


@dataclass(frozen=True, slots=True, eq=False)
class MetadataHead:
    """`kernel` float32 (WIDTH, 8) and `mean` float32 (WIDTH,), see the module."""

    kernel: NDArray[np.float32]
    mean: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.kernel.shape != (WIDTH, len(CODES)) or self.mean.shape != (WIDTH,):
            raise ValueError(f"A metadata head has shapes {(WIDTH, len(CODES))} and {(WIDTH,)}.")
        if not (np.all(np.isfinite(self.kernel)) and np.all(np.isfinite(self.mean))):
            raise ValueError("A weight of the metadata head is not a finite number.")

    @classmethod
    def untrained(cls, training: NDArray[np.float32]) -> Self:
        """A head that adds nothing yet, centred on the descriptions (N, WIDTH) of the training pictures."""
        known = ~np.isnan(training)
        mean = np.where(known, training, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return cls(np.zeros((WIDTH, len(CODES)), np.float32), mean.astype(np.float32))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The head among the tensors of a weights file. Raises KeyError without one, ValueError for other shapes."""
        return cls(np.asarray(tensors[KERNEL], np.float32), np.asarray(tensors[MEAN], np.float32))

    def as_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Inverse of `from_tensors`."""
        return {KERNEL: self.kernel, MEAN: self.mean}

    def centred(self, descriptions: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, WIDTH): descriptions less the mean, 0 where unknown."""
        return np.where(np.isnan(descriptions), np.float32(0.0), descriptions - self.mean).astype(np.float32)

    def contribution(self, records: Sequence[Metadata | None]) -> NDArray[np.float32]:
        """What is added to the logits, float32 (N, 8); exactly 0 for a record that is None or all unknown."""
        return np.asarray(self.centred(described(records)) @ self.kernel, dtype=np.float32)


def metadata_head_of(bundle: Bundle) -> MetadataHead | None:
    """The metadata head of a bundle, None where its architecture has none. Raises BundleError (altered) without it."""
    if not bundle.manifest.architecture.metadata:
        return None
    try:
        return MetadataHead.from_tensors(read_tensors(bundle.weights_path, prefixes=(METADATA_PREFIX,)))
    except (KeyError, ValueError) as error:
        raise BundleError("altered", f"The metadata head of {bundle.version} cannot be read: {error}.") from error
