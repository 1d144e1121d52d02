"""Own the thresholds of the prediction sets: split conformal prediction on the calibration split.

See `recognition.inference.prediction_set` for what they are used for and why they are class-conditional.
"""

import math
from typing import Final

import numpy as np

from recognition.evaluation.metrics import Labels, Table
from recognition.taxonomy import CODES

COVERAGE: Final = 0.90

OWN_FROM: Final = 20
"""Pictures from which a diagnosis has a threshold of its own; with nine or fewer, 90 % could not even be promised."""


def set_thresholds(labels: Labels, probabilities: Table, *, coverage: float = COVERAGE) -> dict[str, float]:
    """The least probability, by code, with which a diagnosis belongs to the set.

    Diagnoses with fewer than `OWN_FROM` pictures share a threshold. Where even those together are too few for the
    coverage it is 0: they always belong to the set.
    """
    counts = np.bincount(labels, minlength=len(CODES))
    given = probabilities[np.arange(labels.size), labels]
    together = _threshold(given[counts[labels] < OWN_FROM], coverage)
    return {
        code: _threshold(given[labels == position], coverage) if counts[position] >= OWN_FROM else together
        for position, code in enumerate(CODES)
    }


def _threshold(given: Table, coverage: float) -> float:
    # The ceil((n + 1) coverage)-th largest probability: one picture more than n has the same chance to be the next.
    rank = math.ceil((given.size + 1) * coverage)
    return 0.0 if rank > given.size else float(np.sort(given)[::-1][rank - 1])
