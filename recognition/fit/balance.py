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


def drawn_shares(labels: NDArray[np.integer], balance: ClassBalance) -> NDArray[np.float64]:
    """Share of each diagnosis among the drawn pictures, (8,), proportional to n^(1 - sampling_power)."""
    counts = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    shares = np.where(counts > 0, np.maximum(counts, 1.0) ** (1.0 - balance.sampling_power), 0.0)
    return np.asarray(shares / shares.sum())


def logit_offsets(shares: NDArray[np.float64], adjustment: float) -> NDArray[np.float32]:
    """The addition to the logits in the loss, (8,): `adjustment` times the log share (Menon et al. 2021)."""
    return np.asarray(adjustment * np.log(np.maximum(shares, 1e-6)), dtype=np.float32)


def balanced_loss(
    shares: NDArray[np.float64], *, adjustment: float, smoothing: float, focal_gamma: float = 0.0
) -> Callable[[Any, Any], Any]:
    """The loss of labels (N, 8), which may be mixed, and logits (N, 8): cross-entropy with logit adjustment.

    `adjustment` * log(share) is added to the logits. `smoothing` is label smoothing. With `focal_gamma` g the part of
    each diagnosis is multiplied by (1 - p)^g, where p is its probability (focal loss, Lin et al. 2017, for labels that
    need not be one-hot).
    """
    import keras

    offsets = logit_offsets(shares, adjustment)

    def cross_entropy(truth: Any, logits: Any) -> Any:
        return keras.losses.categorical_crossentropy(
            truth, keras.ops.add(logits, offsets), from_logits=True, label_smoothing=smoothing
        )

    def focal(truth: Any, logits: Any) -> Any:
        logarithms = keras.ops.log_softmax(keras.ops.add(logits, offsets), axis=-1)
        smoothed = truth * (1.0 - smoothing) + smoothing / len(CODES)
        # Rounding can give a probability above 1, and a root of a negative number is NaN.
        rest = keras.ops.maximum(1.0 - keras.ops.exp(logarithms), FOCAL_REST_MIN)
        return -keras.ops.sum(smoothed * keras.ops.power(rest, focal_gamma) * logarithms, axis=-1)

    return focal if focal_gamma else cross_entropy


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """The labels as one-hot rows, float32 (N, 8)."""
    return np.asarray(np.eye(len(CODES), dtype=np.float32)[labels])


def epoch_order(
    labels: NDArray[np.integer], balance: ClassBalance, drawn: int, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Rows of one epoch, (drawn,), in the order of training.

    Each diagnosis is drawn as often as its share says, from a shuffled cycle that continues from epoch to epoch: no
    picture comes twice before all pictures of its diagnosis came once.
    """
    shares = drawn_shares(labels, balance)
    quota = np.floor(np.cumsum(shares) * drawn + 0.5).astype(np.int64)
    counts = np.diff(np.r_[0, quota])
    chosen = []
    for position, count in enumerate(counts):
        rows = np.flatnonzero(labels == position)
        first, last = epoch * count, (epoch + 1) * count
        while first < last:
            cycle, place = divmod(int(first), len(rows))
            shuffled = np.random.default_rng([seed, position, cycle]).permutation(rows)
            taken = shuffled[place : place + int(last - first)]
            chosen.append(taken)
            first += len(taken)
    order = np.concatenate(chosen)
    return np.asarray(np.random.default_rng([seed, 101, epoch]).permutation(order))
