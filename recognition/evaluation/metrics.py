"""The metrics of a classifier: plain functions of labels and probabilities.

Throughout, `labels` is int (N,) with the position in `taxonomy.CODES`, `probabilities` float (N, 8) in that order,
each row summing to 1. A metric that is not defined for the given rows (no positive, no negative) is NaN and never 0
or 1.

The functions of the first part give one number, with scikit-learn where it has the metric. Those of the second part are
for the bootstrap: they give a `Metric`, which computes a thousand rounds at once as matrix products, in a second
instead of a minute. A test compares them with scikit-learn. They need NumPy only: the web process compares classifiers
with them before a promotion, so the first part imports scikit-learn where it uses it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CODES, MALIGNANT_POSITIONS

Labels = NDArray[np.integer]
Table = NDArray[np.floating]

POSITIONS: Final = range(len(CODES))

CALIBRATION_BINS: Final = 10
"""Bins of equal width of a calibration error."""

SENSITIVITY_FLOOR: Final = 0.8
"""Least sensitivity of the partial AUC that the ISIC challenges report: "AUC above 80 % sensitivity"."""


def is_malignant(labels: Labels) -> NDArray[np.bool_]:
    """Whether each label is a cancer (MEL, BCC, SCC)."""
    return np.isin(labels, MALIGNANT_POSITIONS)


def malignant_score(probabilities: Table) -> NDArray[np.float64]:
    """Probability of a cancer of any kind: MEL + BCC + SCC, (N,) in [0, 1]."""
    return np.asarray(probabilities[:, MALIGNANT_POSITIONS].sum(axis=1), dtype=np.float64)


def confusion(labels: Labels, probabilities: Table) -> NDArray[np.int64]:
    """Counts (8, 8): row is the truth, column the most probable diagnosis."""
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(labels, probabilities.argmax(axis=1), labels=POSITIONS), dtype=np.int64)


def sensitivities(labels: Labels, probabilities: Table) -> NDArray[np.float64]:
    """Sensitivity of each diagnosis, (8,) in [0, 1]; NaN for a diagnosis without a picture."""
    from sklearn.metrics import recall_score

    called = probabilities.argmax(axis=1)
    return np.asarray(recall_score(labels, called, labels=POSITIONS, average=None, zero_division=np.nan))


def balanced_accuracy(labels: Labels, probabilities: Table) -> float:
    """Mean sensitivity over the diagnoses that occur, in [0, 1]: the ISIC 2019 metric without its unknown class."""
    return float(np.nanmean(sensitivities(labels, probabilities)))


def malignant_auc(labels: Labels, probabilities: Table) -> float:
    """AUC of the malignant score, cancer against no cancer, in [0, 1]; NaN without both kinds."""
    from sklearn.metrics import roc_auc_score

    positive = is_malignant(labels)
    return float(roc_auc_score(positive, malignant_score(probabilities))) if _has_both(positive) else math.nan


def roc_curve(positive: NDArray[np.bool_], scores: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """False- and true-positive rates from (0, 0) to (1, 1), one point per distinct score; None without both kinds."""
    from sklearn.metrics import roc_curve as every_threshold

    if not _has_both(positive):
        return None
    false_rates, true_rates, _thresholds = every_threshold(positive, scores, drop_intermediate=False)
    return false_rates, true_rates


def surprise(labels: Labels, probabilities: Table) -> NDArray[np.float64]:
    """Negative natural logarithm of the probability of the true diagnosis, (N,), >= 0; finite for probability 0."""
    given = probabilities[np.arange(labels.size), labels]
    return np.asarray(-np.log(np.maximum(given, np.finfo(np.float64).tiny)))


def log_loss(labels: Labels, probabilities: Table) -> float:
    """Mean negative natural logarithm of the probability of the true diagnosis, >= 0."""
    return float(np.mean(surprise(labels, probabilities)))


def mean_log_loss(labels: Labels, probabilities: Table) -> float:
    """Mean over the diagnoses that occur of their `log_loss`: as if all were equally frequent.

    Training with logit adjustment minimises this. On data with two thirds nevi, the plain log loss of such a classifier
    says mostly how often it answers "nevus".
    """
    found = [labels == position for position in np.unique(labels)]
    return float(np.mean([log_loss(labels[each], probabilities[each]) for each in found]))


def sensitivity_specificity(positive: NDArray[np.bool_], scores: Table, threshold: float) -> tuple[float, float]:
    """Share of positives at or above the threshold, and of negatives below it, in [0, 1]; NaN if there are none."""
    flagged = scores >= threshold
    with np.errstate(invalid="ignore"):
        sensitivity = np.float64((flagged & positive).sum()) / np.float64(positive.sum())
        specificity = np.float64((~flagged & ~positive).sum()) / np.float64((~positive).sum())
    return float(sensitivity), float(specificity)


# Second part: metrics of bootstrap rounds.

Counts = NDArray[np.float64]
"""How often each picture was drawn in each round, (rounds, N), or that times its weight. A row of ones is every picture
once."""

Metric = Callable[[Counts], NDArray[np.float64]]
"""A function from counts (rounds, N) to the metric of each round, (rounds,); NaN where it is not defined."""


@dataclass(frozen=True, slots=True, eq=False)
class Proportion:
    """The `Metric` of a share of pictures. `inside` and `whole` are float (N,): 0, or the weight of the picture.

    It is a class of its own because the interval of a share of 0 or 1 needs the number of its lesions.
    """

    inside: NDArray[np.float64]
    whole: NDArray[np.float64]

    @property
    def of(self) -> NDArray[np.bool_]:
        """The pictures (N,) of which it is the share."""
        return self.whole > 0.0

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.asarray((counts @ self.inside) / (counts @ self.whole))


def proportion(inside: NDArray[np.bool_], of: NDArray[np.bool_]) -> Metric:
    """Share of the pictures `of` that are `inside`, both bool (N,): sensitivity, specificity, precision or accuracy."""
    return Proportion((inside & of).astype(float), of.astype(float))


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError:
    """The `Metric` of a calibration error, the mean of it over `tables` columns of probabilities.

    `gaps` is float (N, bins of all columns): the truth of a picture (0 or 1) minus its probability, in its bin, and 0
    elsewhere; `whole` is (N,). Both are times the weight of the picture. It is a class of its own because redrawing
    raises it: a picture that is drawn twice agrees with itself.
    """

    gaps: NDArray[np.float64]
    whole: NDArray[np.float64]
    tables: int = 1

    def __call__(self, counts: Counts) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.abs(counts @ self.gaps).sum(axis=1) / (counts @ self.whole) / self.tables)


def weighted(metric: Metric, weights: NDArray[np.floating] | None) -> Metric:
    """The metric with each picture counted by its weight (N,), for example to a case mix; None: all by 1."""
    if weights is None:
        return metric
    if isinstance(metric, Proportion):
        return Proportion(metric.inside * weights, metric.whole * weights)
    if isinstance(metric, CalibrationError):
        return CalibrationError(metric.gaps * weights[:, None], metric.whole * weights, metric.tables)
    return lambda counts: metric(counts * weights)


def mean_sensitivity(labels: Labels, probabilities: Table, positions: Sequence[int] = POSITIONS) -> Metric:
    """Balanced accuracy over the diagnoses at `positions` that have a picture in the round."""
    called = probabilities.argmax(axis=1)
    found = [proportion(called == position, labels == position) for position in positions]

    def metric(counts: Counts) -> NDArray[np.float64]:
        values = np.stack([each(counts) for each in found])
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))

    return metric


def at_threshold(labels: Labels, probabilities: Table, threshold: float) -> dict[str, Metric]:
    """Sensitivity and specificity of the malignant score at this threshold, 0 to 1."""
    positive, flagged = is_malignant(labels), malignant_score(probabilities) >= threshold
    return {"sensitivity": proportion(flagged, positive), "specificity": proportion(~flagged, ~positive)}


def mean(values: NDArray[np.floating]) -> Metric:
    """Mean of a value (N,) of each picture, for example the log loss."""
    return lambda counts: np.asarray((counts @ values) / counts.sum(axis=1))


def calibration_error(true: NDArray[np.bool_], given: Table, *, bins: int = CALIBRATION_BINS) -> Metric:
    """Distance of a probability (N,) and how often it came `true` (N,), in bins of equal width, in [0, 1].

    The mean over the bins, each by its share of the pictures, of the distance of its mean probability and its share of
    true ones. Chance adds to it, see `calibration_error_by_chance`.
    """
    return CalibrationError(_gaps(true, given, bins), np.ones(given.size))


def malignant_calibration_error(labels: Labels, probabilities: Table, *, bins: int = CALIBRATION_BINS) -> Metric:
    """`calibration_error` of the malignant score: what it is wrong by when it says how likely a cancer is."""
    return calibration_error(is_malignant(labels), malignant_score(probabilities), bins=bins)


def classwise_calibration_error(labels: Labels, probabilities: Table, *, bins: int = CALIBRATION_BINS) -> Metric:
    """The mean over the eight diagnoses of the `calibration_error` of their probability (Kull et al. 2019)."""
    gaps = [_gaps(labels == at, probabilities[:, at], bins) for at in POSITIONS]
    return CalibrationError(np.hstack(gaps), np.ones(labels.size), len(gaps))


def calibration_error_by_chance(
    given: Table, lesion: NDArray[np.integer], weights: NDArray[np.floating], *, bins: int = CALIBRATION_BINS
) -> float:
    """About the `calibration_error` of a classifier that is right about how sure it is.

    It says the same probabilities (N,) of the same pictures, of lesions numbered from 0, with the same weights. The
    truth of a lesion is one draw, so in each bin the gap is about normal; the mean distance of a normal variable from 0
    is its standard deviation times the root of 2 / pi. Weights that lie far apart leave little to know: close-up
    pictures from biopsies, brought to the mix of a clinic, have 0.06.
    """
    which = np.clip((given * bins).astype(int), 0, bins - 1)
    cell = lesion * bins + which
    weight, said = np.bincount(cell, weights), np.bincount(cell, weights * given)
    used = np.flatnonzero(weight > 0)
    probability = np.clip(said[used] / weight[used], 0.0, 1.0)
    variance = np.bincount(used % bins, weight[used] ** 2 * probability * (1.0 - probability))
    return float(np.sqrt(2.0 / np.pi) * np.sqrt(variance).sum() / weights.sum())


def auc(positive: NDArray[np.bool_], scores: Table, *, floor: float = 0.0) -> Metric:
    """Area under the ROC curve, in [0, 1]; ties count half. With a `floor`: of the part with at least this sensitivity.

    The partial area is computed as isic-challenge-scoring does: from the false-positive rate at the floor to 1, down to
    sensitivity 0, not rescaled.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order].astype(float)
    # Pictures of equal score enter the curve together.
    last = np.r_[np.flatnonzero(np.diff(ranked)), ranked.size - 1]

    def metric(counts: Counts) -> NDArray[np.float64]:
        drawn = counts[:, order]
        right = np.cumsum(drawn * truth, axis=1)[:, last]
        wrong = np.cumsum(drawn, axis=1)[:, last] - right
        start = np.zeros((len(counts), 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            y = np.hstack([start, right / right[:, -1:]])
            x = np.hstack([start, wrong / wrong[:, -1:]])
        pieces = np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2.0
        if floor <= 0.0:
            return np.asarray(pieces.sum(axis=1))
        # The curve crosses the floor between the last point below it and the first one not below.
        after = np.argmax(y >= floor, axis=1)
        rows = np.arange(len(counts))
        before = after - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            along = (floor - y[rows, before]) / (y[rows, after] - y[rows, before])
        crossing = x[rows, before] + along * (x[rows, after] - x[rows, before])
        first = (x[rows, after] - crossing) * (floor + y[rows, after]) / 2.0
        rest = np.where(np.arange(pieces.shape[1]) >= after[:, None], pieces, 0.0).sum(axis=1)
        whole = np.asarray(first + rest)
        return np.where(np.isfinite(pieces.sum(axis=1)), whole, math.nan)

    return metric


def _gaps(true: NDArray[np.bool_], given: Table, bins: int) -> NDArray[np.float64]:
    which = np.clip((given * bins).astype(int), 0, bins - 1)
    gaps = np.zeros((given.size, bins))
    gaps[np.arange(given.size), which] = true - given
    return gaps


def _has_both(positive: NDArray[np.bool_]) -> bool:
    return bool(positive.any() and not positive.all())
