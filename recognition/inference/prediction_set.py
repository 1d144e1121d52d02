"""Own the third gate: which diagnoses a picture leaves open, and whether they are too many.

Split conformal prediction (Angelopoulos & Bates 2021): a diagnosis belongs to the set when its probability reaches the
threshold that all but one tenth of its own calibration pictures reach. The thresholds are class-conditional, so that
the promise holds for melanoma and not only for the frequent nevus; diagnoses with too few calibration pictures share
one threshold (clustered conformal prediction, Ding et al. 2023). On the first fine-tuned network one threshold for all
gave smaller sets (2.2 against 2.9 diagnoses on average) but left out a fifth of the dermatofibromas and benign
keratoses; adaptive sets (Romano et al. 2020) covered 97 % where 90 % was asked, with 4.4 diagnoses on average.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recognition.inference.assessment import Gate, GateResult
from recognition.taxonomy import CODES


def prediction_set(probabilities: NDArray[np.floating], thresholds: Mapping[str, float]) -> tuple[str, ...]:
    """The codes whose probability (of the calibrated (8,)) reaches their threshold, most probable first.

    The most probable diagnosis is always in it: an empty set would say nothing to anybody.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    return tuple(
        CODES[position]
        for rank, position in enumerate(order)
        if rank == 0 or probabilities[position] >= thresholds[CODES[position]]
    )


def check_prediction_set(codes: tuple[str, ...], size_max: int) -> GateResult:
    """The third gate: uncertain when more diagnoses than `size_max` are left open."""
    if len(codes) > size_max:
        return GateResult(Gate.PREDICTION_SET, False, "uncertain", float(len(codes)), float(size_max))
    return GateResult(Gate.PREDICTION_SET, True, "", float(len(codes)), float(size_max))
