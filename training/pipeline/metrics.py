"""Own the figures: plain functions of a label vector and a probability table, nothing of Keras or Django.

Throughout, `labels` is int (N,) with the position in `taxonomy.CODES`, `probabilities` float (N, 8) in that order,
each row summing to 1. A figure that has no meaning for the given rows (no positive, no negative) is NaN: a silent
0 or 1 would be read as a result.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnoses import agreement
from diagnoses.taxonomy import CODES, MALIGNANT_POSITIONS

Labels = NDArray[np.integer]
Table = NDArray[np.floating]

BOOTSTRAP_ROUNDS: Final = 1000
BOOTSTRAP_SEED: Final = 7
ECE_BINS: Final = 15


def confusion(labels: Labels, probabilities: Table) -> NDArray[np.int64]:
    """Counts (8, 8): row is the truth, column the most probable diagnosis."""
    table = np.zeros((len(CODES), len(CODES)), dtype=np.int64)
    np.add.at(table, (labels, probabilities.argmax(axis=1)), 1)
    return table


def accuracy(labels: Labels, probabilities: Table) -> float:
    """Share of pictures whose most probable diagnosis is the true one."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def sensitivities(labels: Labels, probabilities: Table) -> NDArray[np.float64]:
    """Share of each diagnosis (8,) that is found; NaN for a diagnosis without a picture."""
    counts = confusion(labels, probabilities)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts.diagonal() / counts.sum(axis=1), dtype=np.float64)


def balanced_accuracy(labels: Labels, probabilities: Table) -> float:
    """Mean sensitivity over the diagnoses that occur: the ISIC 2019 metric (without its unknown class)."""
    found = sensitivities(labels, probabilities)
    return float(np.nanmean(found)) if np.any(np.isfinite(found)) else float("nan")


def auc(positive: NDArray[np.bool_], scores: Table) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half; NaN without both."""
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return float("nan")
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    # Mean rank of each run of equal scores (Mann-Whitney U with ties).
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    ends = np.r_[starts[1:], ranked.size]
    ranks = np.empty(scores.size, dtype=np.float64)
    ranks[order] = np.repeat((starts + ends + 1) / 2.0, ends - starts)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def class_aucs(labels: Labels, probabilities: Table) -> NDArray[np.float64]:
    """One-against-rest AUC of each diagnosis (8,)."""
    return np.array([auc(labels == position, probabilities[:, position]) for position in range(len(CODES))])


def is_malignant(labels: Labels) -> NDArray[np.bool_]:
    """Whether each label is a cancer (MEL, BCC, SCC)."""
    return np.isin(labels, MALIGNANT_POSITIONS)


def malignant_score(probabilities: Table) -> NDArray[np.float64]:
    """Probability of a cancer of any kind: MEL + BCC + SCC, (N,) in [0, 1]."""
    return np.asarray(probabilities[:, MALIGNANT_POSITIONS].sum(axis=1), dtype=np.float64)


def malignant_auc(labels: Labels, probabilities: Table) -> float:
    """AUC of the malignant score for cancer against no cancer."""
    return auc(is_malignant(labels), malignant_score(probabilities))


def expected_calibration_error(labels: Labels, probabilities: Table, *, bins: int = ECE_BINS) -> float:
    """Mean distance between confidence and accuracy over equally wide bins, weighted by pictures (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    weights = np.bincount(which, minlength=bins)
    gaps = np.abs(np.bincount(which, right, bins) - np.bincount(which, confidence, bins))
    return float(gaps.sum() / weights.sum())


def log_loss(labels: Labels, probabilities: Table) -> float:
    """Mean negative logarithm of the probability given to the truth."""
    given = probabilities[np.arange(labels.size), labels]
    return float(-np.mean(np.log(np.maximum(given, np.finfo(np.float64).tiny))))


def mean_log_loss(labels: Labels, probabilities: Table) -> float:
    """Mean over the diagnoses that occur of their `log_loss`: as if all were equally frequent.

    What training with logit adjustment aims at. The plain log loss of such a classifier, on data of which two thirds
    are nevi, measures first of all how far it leans to nevi.
    """
    found = [labels == position for position in np.unique(labels)]
    return float(np.mean([log_loss(labels[each], probabilities[each]) for each in found]))


def sensitivity_specificity(positive: NDArray[np.bool_], scores: Table, threshold: float) -> tuple[float, float]:
    """Share of positives at or above the threshold, and of negatives below it; NaN where there are none."""
    flagged = scores >= threshold
    with np.errstate(invalid="ignore"):
        sensitivity = np.float64((flagged & positive).sum()) / np.float64(positive.sum())
        specificity = np.float64((~flagged & ~positive).sum()) / np.float64((~positive).sum())
    return float(sensitivity), float(specificity)


def interval(
    figure: Callable[[Labels, Table], float],
    labels: Labels,
    probabilities: Table,
    *,
    rounds: int = BOOTSTRAP_ROUNDS,
    seed: int = BOOTSTRAP_SEED,
) -> tuple[float, float]:
    """95 % percentile interval of a figure by bootstrap, the pictures of each diagnosis redrawn among themselves.

    Stratified so that no round loses a rare diagnosis; rounds in which the figure is NaN are left out.
    """
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == position) for position in np.unique(labels)]
    figures = []
    for _ in range(rounds):
        rows = np.concatenate([generator.choice(group, size=group.size) for group in groups])
        figures.append(figure(labels[rows], probabilities[rows]))
    finite = np.asarray(figures)[np.isfinite(figures)]
    if not finite.size:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def wilson(hits: int, of: int) -> tuple[float, float, float]:
    """A share with its 95 % interval (Wilson 1927), which is honest at 0, at 1 and for few; NaN for none."""
    share = agreement.wilson(hits, of)
    if share is None:
        return float("nan"), float("nan"), float("nan")
    return share.value, share.low, share.high
