"""The head that recognises the kind of a picture from the pooled features of the network."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recognition.evaluation import metrics
from recognition.evaluation.measure import with_intervals
from recognition.inference.image_type import ImageTypeHead
from recognition.inference.ood import DEVIATION_MIN
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

REGULARISATION: Final = 0.01
"""Inverse strength of the penalty on the weights of standardised features, of which there are about as many as
pictures."""


def fit_image_type_head(features: NDArray[np.floating], dermoscopic: NDArray[np.bool_]) -> ImageTypeHead:
    """The head from pooled features (N, C) of training pictures, and which of them are dermoscopic, (N,)."""
    centre = features.mean(axis=0, dtype=np.float64)
    deviation = np.maximum(features.std(axis=0, dtype=np.float64), DEVIATION_MIN)
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000)
    model.fit((features - centre) / deviation, dermoscopic)
    weights = model.coef_[0] / deviation
    bias = model.intercept_[0] - float(weights @ centre)
    return ImageTypeHead(np.asarray(weights, dtype=np.float32), np.asarray(bias, dtype=np.float32))


def measure_image_type_head(
    dermoscopic: NDArray[np.bool_], probability: NDArray[np.floating], groups: NDArray[Any]
) -> dict[str, Any]:
    """The share of test pictures whose kind is recognised: of all ("accuracy"), and of each kind.

    `dermoscopic` (N,) is the truth, `probability` (N,) what the head says, `groups` (N,) the lesions or patients.
    """
    right = (np.asarray(probability) >= 0.5) == dermoscopic
    found = with_intervals(
        {
            "accuracy": metrics.proportion(right, np.ones(right.size, dtype=bool)),
            DERMOSCOPIC: metrics.proportion(right, dermoscopic),
            CLOSE_UP: metrics.proportion(right, ~dermoscopic),
        },
        dermoscopic.astype(int),
        groups=groups,
    )
    return {"pictures": int(right.size), "accuracy": found.pop("accuracy"), "recognised": found}
