"""The metadata head: age, sex and site added to the logits of the picture's network, in NumPy.

    logits = network(picture) + (description - mean) @ kernel,   an unknown field counting as its mean

- **An unknown field adds exactly nothing**: there is no bias, and no flag says that a field is known. A picture without
  metadata gets the answer of the picture alone, from the same graph.
- **A known field adds nothing on average**: `mean` is the mean over the training pictures in which the field is known.
  In ISIC 2019 7.8 % of the images without a site are malignant, and 33.4 % of all. A head that sees *whether* a site is
  known would learn the hospital of a picture, and a patient's answer would depend on filling in the form. This head can
  only learn *which* site, sex and age.

The head is linear: a person can read its three small tables. The effect of age is piecewise linear with corners at 30,
50 and 70 years, because the odds of most diagnoses do not change evenly with age.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.inference.bundle import Bundle, BundleError, read_tensors
from recognition.inference.metadata import Metadata
from recognition.inference.network import METADATA_PREFIX
from recognition.taxonomy import AGES_APPROX, CODES, SEXES, SITES

AGE_CORNERS: Final = (30, 50, 70)
AGE_UNIT: Final = 25.0
"""Years that count as much as a known sex or site."""

GAIN: Final = 8.0
"""Factor of every description. An adaptive optimiser moves each weight by about the learning rate per step. At the
small rate of a trained backbone the weights of this new head stay small; larger inputs make up for that."""

FIELDS: Final[Mapping[str, slice]] = {
    "age_approx": slice(0, 1 + len(AGE_CORNERS)),
    "sex": slice(1 + len(AGE_CORNERS), 1 + len(AGE_CORNERS) + len(SEXES)),
    "anatom_site_general": slice(1 + len(AGE_CORNERS) + len(SEXES), 1 + len(AGE_CORNERS) + len(SEXES) + len(SITES)),
}
"""The columns of a description, by field."""

WIDTH: Final = 1 + len(AGE_CORNERS) + len(SEXES) + len(SITES)

KERNEL: Final = f"{METADATA_PREFIX}kernel"
MEAN: Final = f"{METADATA_PREFIX}mean"


def described(records: Sequence[Metadata | None]) -> NDArray[np.float32]:
    """The metadata as numbers, float32 (N, WIDTH), NaN for an unknown field."""
    table = np.full((len(records), WIDTH), np.nan, dtype=np.float32)
    for row, record in zip(table, records, strict=True):
        if record is None:
            continue
        age = record.age_approx
        if age is not None and math.isfinite(age) and age >= 0:
            # The data have no older people, so a higher age counts as this one.
            years = min(float(age), AGES_APPROX[-1])
            row[FIELDS["age_approx"]] = [years / AGE_UNIT, *(max(years - each, 0) / AGE_UNIT for each in AGE_CORNERS)]
        for name, words in (("sex", SEXES), ("anatom_site_general", SITES)):
            if (word := getattr(record, name)) in words:
                row[FIELDS[name]] = [float(word == each) for each in words]
    return GAIN * table


@dataclass(frozen=True, slots=True, eq=False)
class MetadataHead:
    """A metadata head: `kernel` float32 (WIDTH, 8) and `mean` float32 (WIDTH,).

    Raises ValueError for other shapes or weights that are not finite.
    """

    kernel: NDArray[np.float32]
    mean: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.kernel.shape != (WIDTH, len(CODES)) or self.mean.shape != (WIDTH,):
            raise ValueError(f"A metadata head has shapes {(WIDTH, len(CODES))} and {(WIDTH,)}.")
        if not (np.all(np.isfinite(self.kernel)) and np.all(np.isfinite(self.mean))):
            raise ValueError("A weight of the metadata head is not a finite number.")

    @classmethod
    def untrained(cls, training: NDArray[np.float32]) -> Self:
        """A head with zero weights, centred on the descriptions (N, WIDTH) of the training pictures."""
        known = ~np.isnan(training)
        mean = np.where(known, training, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return cls(np.zeros((WIDTH, len(CODES)), np.float32), mean.astype(np.float32))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The head from the tensors of a weights file. Raises KeyError without one, ValueError for other shapes."""
        return cls(np.asarray(tensors[KERNEL], np.float32), np.asarray(tensors[MEAN], np.float32))

    def as_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Inverse of `from_tensors`."""
        return {KERNEL: self.kernel, MEAN: self.mean}

    def centred(self, descriptions: NDArray[np.float32]) -> NDArray[np.float32]:
        """The descriptions minus the mean, float32 (N, WIDTH), 0 where unknown."""
        return np.where(np.isnan(descriptions), np.float32(0.0), descriptions - self.mean).astype(np.float32)

    def contribution(self, records: Sequence[Metadata | None]) -> NDArray[np.float32]:
        """The addition to the logits, float32 (N, 8); exactly 0 for a record that is None or all unknown."""
        return np.asarray(self.centred(described(records)) @ self.kernel, dtype=np.float32)


def metadata_head_of(bundle: Bundle) -> MetadataHead | None:
    """The metadata head of a bundle, None if its architecture has none. Raises BundleError (altered) if missing."""
    if not bundle.manifest.architecture.metadata:
        return None
    try:
        return MetadataHead.from_tensors(read_tensors(bundle.weights_path, prefixes=(METADATA_PREFIX,)))
    except (KeyError, ValueError) as error:
        raise BundleError("altered", f"The metadata head of {bundle.version} cannot be read: {error}.") from error
