"""Temperature scaling (Guo et al. 2017): one number that calibrates the probabilities."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import Labels, log_loss
from recognition.inference.calibration import softmax

TEMPERATURE_LIMITS: Final = (0.05, 20.0)
GOLDEN: Final = (5**0.5 - 1) / 2
SEARCH_STEPS: Final = 80
"""Golden-section steps: 0.618^80 of the interval is below the precision of float32."""


def fit_temperature(logits: NDArray[np.floating], labels: Labels) -> float:
    """The temperature with the least log loss for logits (N, 8) and labels (N,), by golden-section search.

    The log loss has one minimum. The result is limited to [0.05, 20].
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
