"""The threshold of the prediction sets: split conformal prediction on the calibration split, cross-fitted.

See `recognition.inference.prediction_set` for the sets. The probabilities with which the threshold is found come from
a calibration that was fitted without the picture's lesion (cross-conformal prediction, Vovk 2015): temperature and
prior strength would else know the pictures that the threshold is found on. One threshold for all diagnoses keeps the
sets prefixes of the ranking. What is promised holds for all pictures together, as frequent as in the case mix, and not
for each diagnosis.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import Labels, Table
from recognition.fit.calibration.scaling import fit_calibration
from recognition.inference.case_mix import CaseMix

COVERAGE: Final = 0.90

FOLDS: Final = 5


def set_threshold(
    logits: Table,
    labels: Labels,
    groups: Sequence[str] | NDArray[Any],
    *,
    case_mix: CaseMix,
    coverage: float = COVERAGE,
) -> float:
    """The least probability with which a diagnosis is in the set, in [0, 1].

    `logits` (N, 8), `labels` (N,) and `groups` (N,), the lesions, of the calibration pictures. 0 if they are too few
    for the coverage: then every diagnosis is always in the set.
    """
    fold = folds(groups)
    given = np.zeros(labels.size)
    for held_out in (fold == number for number in np.unique(fold)):
        calibration = fit_calibration(logits[~held_out], labels[~held_out])
        probabilities = calibration.probabilities(logits[held_out], case_mix)
        given[held_out] = probabilities[np.arange(held_out.sum()), labels[held_out]]
    return reached_by(given, case_mix.weights(labels), coverage)


def folds(groups: Sequence[str] | NDArray[Any]) -> NDArray[np.intp]:
    """The fold (N,) of each picture, 0 to `FOLDS` - 1: lesions are dealt at random, the same way every time."""
    _, lesion = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(0).permutation(int(lesion.max(initial=-1)) + 1)
    return np.asarray(order[lesion] % FOLDS, dtype=np.intp)


def reached_by(given: Table, weights: NDArray[np.floating], coverage: float) -> float:
    """The highest threshold that the share `coverage` of the probabilities (N,) reaches, by weight.

    One more picture of weight 1, the one to be answered, is counted as not reaching it (Tibshirani et al. 2019); with
    equal weights this is the usual split conformal threshold. 0 if even all of them are too few.
    """
    order = np.argsort(-np.asarray(given), kind="stable")
    reached = np.cumsum(weights[order]) / (weights.sum() + 1.0)
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(given[order[enough[0]]]) if enough.size else 0.0
