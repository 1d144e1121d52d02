"""The main figures of parts of the pictures: by sex, age, site, skin tone and source, with metadata and without."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from recognition.evaluation.bootstrap import Groups
from recognition.evaluation.intervals import ROUNDS
from recognition.evaluation.measure import Weights, main_figures
from recognition.evaluation.metrics import Labels, Table
from recognition.inference.metadata import ANSWERS, DEMOGRAPHICS
from recognition.taxonomy import SEXES, SITES

NOT_GIVEN: Final = "not given"

AGE_BANDS: Final = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
SKIN_TONES: Final = tuple(map(str, range(6)))
"""`skin_tone_class` of MILK10k: 0 (darkest) to 5 (lightest)."""

COLLECTIONS: Final[Mapping[str, str]] = {
    "BCN": "BCN20000",
    "HAM": "HAM10000",
    "IL": "MILK10k",
    "MSK": "MSK",
    "PAT": "PAD-UFES-20",
}
"""The collection that a lesion is from, by the letters its id begins with."""

VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "sex": SEXES,
    "age": tuple(f"{low} to {high}" for low, high in AGE_BANDS),
    "site": SITES,
    "skin_tone": SKIN_TONES,
    "source": tuple(COLLECTIONS.values()),
}
"""What pictures are grouped by, each with its values in the order in which they are shown."""


def subgroups(
    kinds: Mapping[str, Sequence[str]],
    labels: Labels,
    probabilities: Table,
    *,
    groups: Groups,
    decisions: Sequence[str],
    weights: Weights = None,
    rounds: int = ROUNDS,
    decimals: int | None = None,
) -> list[dict[str, Any]]:
    """`measure.main_figures` of each subgroup that has a picture, with its "kind" ("sex") and "name" ("female").

    `kinds` has a value of each of the N pictures for every kind, as `values_of` gives them; the others are as in
    `measure.split_metrics`. `weights` are those of the whole split: the population of the case mix is divided, not each
    part brought to the mix by itself. A kind of which no value is given is left out.
    """
    named = None if groups is None else np.asarray(groups)
    said = np.array([str(decision) for decision in decisions], dtype=object)
    entries = []
    for kind, column in kinds.items():
        values = np.array(column, dtype=object)
        if (values == NOT_GIVEN).all():
            continue
        for name in (*VALUES[kind], NOT_GIVEN):
            chosen = values == name
            if not chosen.any():
                continue
            figures = main_figures(
                labels[chosen],
                probabilities[chosen],
                groups=None if named is None else named[chosen],
                decisions=said[chosen].tolist(),
                weights=None if weights is None else weights[chosen],
                rounds=rounds,
                decimals=decimals,
            )
            entries.append({"kind": kind, "name": name, **figures})
    return entries


def with_and_without(
    used: Sequence[Sequence[str]],
    labels: Labels,
    *,
    served: tuple[Table, Sequence[str]],
    picture_alone: tuple[Table, Sequence[str]],
    groups: Groups,
    weights: Weights = None,
    decimals: int | None = None,
) -> dict[str, Any]:
    """The main figures with and without what is known beside the picture, on the pictures of which it is known.

    `used` are the fields that counted for each picture, `served` and `picture_alone` the probabilities and decisions
    with and without them. "demographics" are the pictures of which age, sex or site counted, "answers" those of which
    an answer of the patient did; "with" counts everything that is known of these. Empty where nothing counted.
    """
    named = None if groups is None else np.asarray(groups)
    found = {}
    for name, fields in (("demographics", DEMOGRAPHICS), ("answers", ANSWERS)):
        rows = [at for at, each in enumerate(used) if any(field in fields for field in each)]
        if rows:
            found[name] = {
                how: main_figures(
                    labels[rows],
                    probabilities[rows],
                    groups=None if named is None else named[rows],
                    decisions=[decisions[at] for at in rows],
                    weights=None if weights is None else weights[rows],
                    decimals=decimals,
                )
                for how, (probabilities, decisions) in (("with", served), ("without", picture_alone))
            }
    return found


def values_of(table: pd.DataFrame) -> dict[str, list[str]]:
    """The value of each row for every kind of `VALUES`, or `NOT_GIVEN`.

    `table` has the columns sex, age_approx, anatom_site_general and, where there are any, lesion_id and details.
    """
    nothing = [None] * len(table)
    details = [each if isinstance(each, Mapping) else {} for each in table.get("details", nothing)]
    # Joined tables give one id to all pictures of a lesion, and keep the id of the source in the details.
    lesions = [
        told.get("lesion_id") or lesion for told, lesion in zip(details, table.get("lesion_id", nothing), strict=True)
    ]
    found = {
        "sex": list(table["sex"]),
        "age": [_age_band(age) for age in table["age_approx"]],
        "site": list(table["anatom_site_general"]),
        "skin_tone": [str(told.get("skin_tone_class")) for told in details],
        "source": [_source(lesion) for lesion in lesions],
    }
    return {kind: [value if value in VALUES[kind] else NOT_GIVEN for value in each] for kind, each in found.items()}


def _age_band(age: float | None) -> str | None:
    return next((f"{low} to {high}" for low, high in AGE_BANDS if age is not None and low <= age <= high), None)


def _source(lesion: object) -> str | None:
    start = re.match(r"[A-Z]+", lesion) if isinstance(lesion, str) else None
    return COLLECTIONS.get(start[0]) if start else None
