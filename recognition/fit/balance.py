"""Class balance: sampling of rare diagnoses, loss weights, logit adjustment and focal loss."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.recipes import ClassBalance
from recognition.taxonomy import CODES

FOCAL_REST_MIN: Final = 1e-7
"""Least value of 1 - p in the focal loss: the gradient of x^g at 0 is not finite for g below 1."""


def class_weights(labels: NDArray[np.integer], balance: ClassBalance) -> NDArray[np.float32]:
    """Loss weight of each row, (N,) with mean 1, proportional to (pictures of its diagnosis)^-weight_power."""
    counts = np.maximum(np.bincount(labels, minlength=len(CODES)), 1)
    weights = (counts.astype(np.float64) ** -balance.weight_power)[labels]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def drawn_shares(
    labels: NDArray[np.integer], sources: NDArray[np.integer], balance: ClassBalance
) -> NDArray[np.float64]:
    """Share of each diagnosis of each source among the drawn pictures, (sources, 8), adding up to 1.

    `labels` and `sources` are (N,). A source with n pictures is drawn in proportion to n^(1 - source_sampling_power),
    and in it a diagnosis with n pictures in proportion to n^(1 - sampling_power).
    """
    counts = _counts(labels, sources)
    of_source = _powers(counts.sum(axis=1), balance.source_sampling_power)
    in_source = _powers(counts, balance.sampling_power)
    # Each of the two adds up to 1 before they are multiplied: to the last bit, one source is as without sources.
    shares = in_source / np.maximum(in_source.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(shares * (of_source / of_source.sum())[:, None])


def logit_offsets(
    labels: NDArray[np.integer], sources: NDArray[np.integer], balance: ClassBalance
) -> NDArray[np.float32]:
    """The additions to the logits in the loss, (N, 8): logit adjustment (Menon et al. 2021) within each source.

    `logit_adjustment` times the log share of each diagnosis among what is drawn of the picture's source. So a network
    that recognises the source gains nothing by answering with what is common there. A diagnosis that a source lacks
    counts as if it had one picture: of it the source says little, not that it never is.
    """
    shares = _powers(np.maximum(_counts(labels, sources), 1.0), balance.sampling_power)
    logarithms = balance.logit_adjustment * np.log(shares / shares.sum(axis=1, keepdims=True))
    return np.asarray(logarithms[sources], dtype=np.float32)


def targets(labels: NDArray[np.integer], offsets: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `balanced_loss` takes as the truth, float32 (N, 16): one-hot labels, and beside them the logit offsets."""
    return np.concatenate([one_hot(labels), offsets], axis=1)


def balanced_loss(*, smoothing: float, focal_gamma: float = 0.0) -> Callable[[Any, Any], Any]:
    """The loss of `targets` (N, 16), which may be mixed, and logits (N, 8): cross-entropy with logit adjustment.

    The offsets are added to the logits. `smoothing` is label smoothing. With `focal_gamma` g the part of each diagnosis
    is multiplied by (1 - p)^g, where p is its probability (focal loss, Lin et al. 2017, for labels that need not be
    one-hot).
    """
    import keras

    classes = len(CODES)

    def cross_entropy(truth: Any, logits: Any) -> Any:
        adjusted = keras.ops.add(logits, truth[:, classes:])
        return keras.losses.categorical_crossentropy(
            truth[:, :classes], adjusted, from_logits=True, label_smoothing=smoothing
        )

    def focal(truth: Any, logits: Any) -> Any:
        logarithms = keras.ops.log_softmax(keras.ops.add(logits, truth[:, classes:]), axis=-1)
        smoothed = truth[:, :classes] * (1.0 - smoothing) + smoothing / classes
        # Rounding can give a probability above 1, and a root of a negative number is NaN.
        rest = keras.ops.maximum(1.0 - keras.ops.exp(logarithms), FOCAL_REST_MIN)
        return -keras.ops.sum(smoothed * keras.ops.power(rest, focal_gamma) * logarithms, axis=-1)

    return focal if focal_gamma else cross_entropy


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """The labels as one-hot rows, float32 (N, 8)."""
    return np.asarray(np.eye(len(CODES), dtype=np.float32)[labels])


def epoch_order(
    labels: NDArray[np.integer],
    sources: NDArray[np.integer],
    balance: ClassBalance,
    *,
    drawn: int,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """Rows of one epoch, (drawn,), in the order of training.

    Each diagnosis of each source is drawn as often as its share says, from a shuffled cycle that continues from epoch
    to epoch: no picture comes twice before all pictures of its diagnosis and source came once.
    """
    shares = drawn_shares(labels, sources, balance)
    quota = np.floor(np.cumsum(shares) * drawn + 0.5).astype(np.int64)
    counts = np.diff(np.r_[0, quota])
    chosen = []
    for position, count in enumerate(counts):
        source, label = divmod(position, len(CODES))
        rows = np.flatnonzero((labels == label) & (sources == source))
        first, last = epoch * count, (epoch + 1) * count
        while first < last:
            cycle, place = divmod(int(first), len(rows))
            shuffled = np.random.default_rng([seed, position, cycle]).permutation(rows)
            taken = shuffled[place : place + int(last - first)]
            chosen.append(taken)
            first += len(taken)
    order = np.concatenate(chosen)
    return np.asarray(np.random.default_rng([seed, 101, epoch]).permutation(order))


def _counts(labels: NDArray[np.integer], sources: NDArray[np.integer]) -> NDArray[np.float64]:
    counts = np.zeros((int(sources.max()) + 1, len(CODES)))
    np.add.at(counts, (sources, labels), 1.0)
    return counts


def _powers(counts: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    return np.asarray(np.where(counts > 0, np.maximum(counts, 1.0) ** (1.0 - power), 0.0))
