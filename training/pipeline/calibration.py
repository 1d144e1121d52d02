"""Own what the calibration split decides: the temperature, and the thresholds on the malignant score."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnoses.inference.bundle import OperatingPoint
from diagnoses.inference.runtime import softmax
from training.pipeline.metrics import Labels, Table, is_malignant, log_loss, malignant_score, sensitivity_specificity

TEMPERATURE_LIMITS: Final = (0.05, 20.0)
GOLDEN: Final = (5**0.5 - 1) / 2
SEARCH_STEPS: Final = 80
"""Golden-section steps; 0.618^80 of the interval is far below float32."""

SENSITIVITY_TARGETS: Final = (("balanced", None), ("sensitive", 0.95))
"""Operating points: the best sum of sensitivity and specificity (Youden), and the one that misses 5 % of cancers."""


def fit_temperature(logits: NDArray[np.floating], labels: Labels) -> float:
    """The temperature that makes the calibration labels most probable (Guo et al. 2017), by golden-section search.

    The log loss has one minimum in the inverse temperature. Limited to [0.05, 20]: beyond, the logits say nothing.
    """
    low, high = (float(np.log(limit)) for limit in TEMPERATURE_LIMITS)

    def loss(log_temperature: float) -> float:
        return log_loss(labels, softmax(logits / np.exp(log_temperature)))

    for _ in range(SEARCH_STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def choose_operating_points(labels: Labels, probabilities: Table) -> tuple[OperatingPoint, ...]:
    """Thresholds on the malignant score, with the sensitivity and specificity they have on the calibration split.

    Empty when the split lacks either cancers or benign pictures: there is nothing to choose from.
    """
    positive, scores = is_malignant(labels), malignant_score(probabilities)
    if positive.all() or not positive.any():
        return ()
    thresholds = np.unique(scores)
    rates = np.array([sensitivity_specificity(positive, scores, float(threshold)) for threshold in thresholds])
    points = []
    for name, target in SENSITIVITY_TARGETS:
        # With a target, the highest threshold that still reaches it.
        candidates = rates.sum(axis=1) if target is None else np.where(rates[:, 0] >= target, rates[:, 1], -1.0)
        best = int(candidates.argmax())
        points.append(OperatingPoint(name, float(thresholds[best]), float(rates[best, 0]), float(rates[best, 1])))
    return tuple(points)
