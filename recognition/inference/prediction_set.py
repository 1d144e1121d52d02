"""The third gate: the prediction set of a picture, and whether it is too large.

Split conformal prediction (Angelopoulos & Bates 2021) with one threshold for all diagnoses (sets of least average
size; Sadinle et al. 2019): the sets hold the truth in 90 % of pictures of the sealed case mix, and less often for rare
diagnoses. A set is a prefix of the ranking: it leaves out no diagnosis that is more probable than one it holds. Bundles
from before have a threshold for each diagnosis; their sets go down to the last diagnosis that reaches its threshold.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recognition.inference.assessment import Gate, GateResult
from recognition.taxonomy import CODES


def prediction_set(probabilities: NDArray[np.floating], thresholds: Mapping[str, float]) -> tuple[str, ...]:
    """The most probable codes down to the last whose probability, of (8,), reaches its threshold in [0, 1].

    The most probable diagnosis is always in the set. Raises KeyError if a code has no threshold.
    """
    ranking = [CODES[position] for position in np.argsort(-np.asarray(probabilities), kind="stable")]
    reached = [probabilities[CODES.index(code)] >= thresholds[code] for code in ranking]
    last = max((rank for rank, does in enumerate(reached) if does), default=0)
    return tuple(ranking[: last + 1])


def check_prediction_set(codes: tuple[str, ...], size_max: int) -> GateResult:
    """The result of the third gate: "uncertain" if the set has more than `size_max` diagnoses."""
    if len(codes) > size_max:
        return GateResult(Gate.PREDICTION_SET, False, "uncertain", float(len(codes)), float(size_max))
    return GateResult(Gate.PREDICTION_SET, True, "", float(len(codes)), float(size_max))
