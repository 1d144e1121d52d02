"""The third gate: the prediction set of a picture, and whether it is too large.

Split conformal prediction (Angelopoulos & Bates 2021): a diagnosis is in the set if its probability reaches the
threshold that 90 % of its calibration pictures reach. The thresholds are class-conditional, so that the coverage holds
for melanoma as well as for the frequent nevus. Diagnoses with too few calibration pictures share one threshold
(clustered conformal prediction, Ding et al. 2023). On the first fine-tuned network one threshold for all diagnoses gave
smaller sets (2.2 instead of 2.9 diagnoses on average) but missed a fifth of the dermatofibromas and benign keratoses.
Adaptive sets (Romano et al. 2020) had a coverage of 97 % instead of 90 %, with 4.4 diagnoses on average.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recognition.inference.assessment import Gate, GateResult
from recognition.taxonomy import CODES


def prediction_set(probabilities: NDArray[np.floating], thresholds: Mapping[str, float]) -> tuple[str, ...]:
    """The codes whose calibrated probability, of (8,), reaches their threshold in [0, 1], most probable first.

    The most probable diagnosis is always in the set. Raises KeyError if a code has no threshold.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    return tuple(
        CODES[position]
        for rank, position in enumerate(order)
        if rank == 0 or probabilities[position] >= thresholds[CODES[position]]
    )


def check_prediction_set(codes: tuple[str, ...], size_max: int) -> GateResult:
    """The result of the third gate: "uncertain" if the set has more than `size_max` diagnoses."""
    if len(codes) > size_max:
        return GateResult(Gate.PREDICTION_SET, False, "uncertain", float(len(codes)), float(size_max))
    return GateResult(Gate.PREDICTION_SET, True, "", float(len(codes)), float(size_max))
