"""What is known beside the picture: age, sex, site and the patient's answers, and the table that lets them count.

    scores = scores of the picture + strength * sum over the known fields of log(P(word | diagnosis) / P(word))

A naive Bayes classifier: a person can read its table. **An unknown field adds exactly nothing**, and nothing says
whether a field is known: in ISIC 2019 7.8 % of the images without a site are malignant, and 33.4 % of all, so a model
that saw the gap would learn the hospital of a picture. Fields are not independent, so the table is sealed with
strengths, fitted on the calibration split for each kind of picture.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CODES, SEXES, SITES

DEMOGRAPHICS: Final = ("age_approx", "sex", "anatom_site_general")
"""Who the person is and where the spot is, in the names of the ISIC metadata."""

ANSWERS: Final = ("itch", "grew", "hurt", "changed", "bleed", "elevation")
"""What the patient was asked about the spot, in the names of PAD-UFES-20 (Pacheco et al. 2020)."""

AGE_EDGES: Final = (30, 40, 50, 60, 70, 80)
"""Years. Ages are known to five years at best."""

AGE_BANDS: Final = ("0-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+")

YES: Final = "True"
NO: Final = "False"

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "age_approx": AGE_BANDS,
    "sex": SEXES,
    "anatom_site_general": SITES,
    **dict.fromkeys(ANSWERS, (YES, NO)),
}
"""The words of each field."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known beside a picture; None, "" and NaN mean unknown.

    - `age_approx`: years; `sex`, `anatom_site_general`: in the words of ISIC 2019;
    - `itch`, `grew` (larger), `hurt`, `changed` (shape or colour), `bleed`, `elevation` (raised): what the patient
      answered.

    An age below 0 and a word that is not in `SEXES` or `SITES` also count as unknown: no photo is refused for its
    metadata.
    """

    age_approx: float | None = None
    sex: str | None = None
    anatom_site_general: str | None = None
    itch: bool | None = None
    grew: bool | None = None
    hurt: bool | None = None
    changed: bool | None = None
    bleed: bool | None = None
    elevation: bool | None = None

    def words(self) -> dict[str, str]:
        """The known fields with their words (`WORDS`)."""
        known: dict[str, str] = {}
        age = self.age_approx
        if age is not None and math.isfinite(age) and age >= 0:
            known["age_approx"] = AGE_BANDS[bisect_right(AGE_EDGES, age)]
        for name in ("sex", "anatom_site_general"):
            if (word := getattr(self, name)) in WORDS[name]:
                known[name] = word
        for name in ANSWERS:
            if (answer := getattr(self, name)) is not None:
                known[name] = YES if answer else NO
        return known


@dataclass(frozen=True, slots=True)
class Strengths:
    """How much the table counts for one kind of picture: factors of its two groups of fields, each from 0."""

    demographics: float = 0.0
    answers: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(each) and each >= 0 for each in (self.demographics, self.answers)):
            raise ValueError("A strength is a number from 0.")

    def of(self, name: str) -> float:
        """The strength of a field."""
        return self.answers if name in ANSWERS else self.demographics


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """The log ratios log(P(word | diagnosis) / P(word)) of each field and word, (8,) each, in the order of `CODES`.

    Fields and words that are not in the table add nothing. Raises ValueError for a field or word that is not in
    `WORDS`, and for ratios that are not eight finite numbers.
    """

    ratios: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, words in self.ratios.items():
            for word, row in words.items():
                if word not in WORDS.get(name, ()):
                    raise ValueError(f"{name} {word} is no field and word of the metadata.")
                if len(row) != len(CODES) or not all(map(math.isfinite, row)):
                    raise ValueError(f"The log ratios of {name} {word} are not {len(CODES)} finite numbers.")

    def used(self, metadata: Metadata | None, strengths: Strengths) -> tuple[str, ...]:
        """The fields that count: known, in the table, and with a strength above 0."""
        known = {} if metadata is None else metadata.words()
        return tuple(
            name for name, word in known.items() if word in self.ratios.get(name, {}) and strengths.of(name) > 0
        )

    def contribution(self, metadata: Metadata | None, strengths: Strengths) -> NDArray[np.float64]:
        """The addition to the scores of a picture, (8,); exactly 0 if nothing is known."""
        total = np.zeros(len(CODES))
        known = {} if metadata is None else metadata.words()
        for name in self.used(metadata, strengths):
            total += strengths.of(name) * np.asarray(self.ratios[name][known[name]])
        return total

    def as_json(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return {name: {word: list(row) for word, row in words.items()} for name, words in self.ratios.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError, TypeError or AttributeError for anything else."""
        return cls(
            {
                name: {word: tuple(float(each) for each in row) for word, row in words.items()}
                for name, words in values.items()
            }
        )
