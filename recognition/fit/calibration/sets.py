"""The thresholds of the prediction sets: split conformal prediction on the calibration split.

See `recognition.inference.prediction_set` for the method.
"""

import math
from typing import Final

import numpy as np

from recognition.evaluation.metrics import Labels, Table
from recognition.taxonomy import CODES

COVERAGE: Final = 0.90

OWN_FROM: Final = 20
"""Fewest pictures for a diagnosis to have a threshold for itself. With nine or fewer, 90 % cannot be guaranteed."""


def set_thresholds(labels: Labels, probabilities: Table, *, coverage: float = COVERAGE) -> dict[str, float]:
    """The least probability with which each diagnosis is in the set, by code, in [0, 1].

    `labels` (N,) and calibrated `probabilities` (N, 8) of the calibration pictures; `coverage` in (0, 1). Diagnoses
    with fewer than `OWN_FROM` pictures share a threshold. It is 0 if even together they are too few for the coverage:
    then they are always in the set.
    """
    counts = np.bincount(labels, minlength=len(CODES))
    given = probabilities[np.arange(labels.size), labels]
    together = _threshold(given[counts[labels] < OWN_FROM], coverage)
    return {
        code: _threshold(given[labels == position], coverage) if counts[position] >= OWN_FROM else together
        for position, code in enumerate(CODES)
    }


def _threshold(given: Table, coverage: float) -> float:
    # The ceil((n + 1) * coverage)-th largest probability, as in Angelopoulos & Bates 2021.
    rank = math.ceil((given.size + 1) * coverage)
    return 0.0 if rank > given.size else float(np.sort(given)[::-1][rank - 1])
