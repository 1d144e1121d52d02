"""What pictures of none of the eight diagnoses teach the OOD gate, and how many of others it refuses.

Outlier exposure (Hendrycks et al. 2019) on frozen features: a logistic regression tells training pictures from them.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recognition.datasets.other_pictures import OtherPictures
from recognition.evaluation import metrics
from recognition.evaluation.measure import with_intervals
from recognition.inference.assessment import Decision
from recognition.inference.assessor import Assessor
from recognition.inference.ood import DEVIATION_MIN
from recognition.inference.outputs import PictureOutputs

REGULARISATION: Final = 1e-3
"""Inverse strength of the penalty on the weights of standardised features. Weaker ones do as well on what was learned
and worse on kinds of pictures that were not (docs/training-log.md)."""

ALL: Final = "all"


def direction_of_others(known: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float32]:
    """The direction (C,) in which features of other pictures (M, C) lie, as seen from training pictures (N, C)."""
    centre = known.mean(axis=0, dtype=np.float64)
    deviation = np.maximum(known.std(axis=0, dtype=np.float64), DEVIATION_MIN)
    standardised = (np.concatenate([known, others]) - centre) / deviation
    is_other = np.repeat([False, True], [len(known), len(others)])
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000).fit(standardised, is_other)
    return np.asarray(model.coef_[0] / deviation, dtype=np.float32)


def measure_others(others: OtherPictures, outputs: Sequence[PictureOutputs], assessor: Assessor) -> dict[str, Any]:
    """The part "other_pictures" of the manifest: what was learned, and the share refused of the half that was not.

    `outputs` are those of that half, in its order. Nobody tells the kind of these pictures, as with most uploads.
    """
    held_out = ~others.learned
    refused = np.array([assessor.assess(each).assessment.decision is Decision.NOT_ASSESSED for each in outputs])
    return {
        "fingerprint": others.fingerprint,
        # By these they are known again, wherever somebody measures with the same pictures.
        "learned": [found.hex() for found, each in zip(others.hashes, others.learned, strict=True) if each],
        "refused": refused_shares(refused, others.shows[held_out], groups=others.groups[held_out]),
    }


def refused_shares(
    refused: NDArray[np.bool_], shows: NDArray[np.str_], *, groups: NDArray[Any] | None
) -> dict[str, dict[str, Any]]:
    """The share refused with its interval and the number of pictures, of all and by what they show."""
    chosen = {ALL: np.ones(refused.size, dtype=bool), **{str(kind): shows == kind for kind in np.unique(shows)}}
    # Nothing is stratified: there are no diagnoses.
    found = with_intervals(
        {name: metrics.proportion(refused, rows) for name, rows in chosen.items()},
        np.zeros(refused.size, dtype=np.intp),
        groups=groups,
    )
    return {name: {**found[name], "pictures": int(rows.sum())} for name, rows in chosen.items()}
