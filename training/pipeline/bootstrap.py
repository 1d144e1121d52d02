"""Own intervals: one bootstrap for all figures of a split, computed as matrix products instead of a loop.

The pictures of each diagnosis are redrawn among themselves, so that no round loses a rare one. A round is a row of
counts, how often each picture was drawn; every figure is a function of such counts, and is computed for a block of
rounds at once. The 95 % interval is between the 2.5th and 97.5th percentiles (Efron and Tibshirani 1993, chapter 13).

Throughout, `labels` is int (N,) with the position in `taxonomy.CODES`, `table` float (N, 8) of probabilities.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.pipeline.metrics import BOOTSTRAP_ROUNDS, BOOTSTRAP_SEED, ECE_BINS, Labels, Table

Rounds = NDArray[np.float64]
"""Counts (rounds, N): how often each picture is drawn in each round."""

Drawn = Callable[[Rounds], NDArray[np.float64]]
"""A figure of each round, (rounds,); NaN where it has no meaning."""

BLOCK_CELLS: Final = 2_000_000
"""Counts held at a time (16 MB as float64): 1,000 rounds of 1,248 pictures are one block."""

PERCENTILES: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """NaN where no round gave the figure a meaning."""

    low: float
    high: float


def intervals(
    figures: Mapping[str, Drawn], labels: Labels, *, rounds: int = BOOTSTRAP_ROUNDS, seed: int = BOOTSTRAP_SEED
) -> dict[str, Interval]:
    """The 95 % interval of every figure, all from the same rounds; rounds in which one is NaN do not count for it."""
    seen: dict[str, list[NDArray[np.float64]]] = {name: [] for name in figures}
    for counts in redrawn(labels, rounds=rounds, seed=seed):
        for name, figure in figures.items():
            seen[name].append(figure(counts))
    return {name: _interval(np.concatenate(parts)) for name, parts in seen.items()}


def redrawn(labels: Labels, *, rounds: int, seed: int) -> Iterator[Rounds]:
    """Blocks of rounds; each row sums to N, and over the pictures of each diagnosis to their number."""
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == position) for position in np.unique(labels)]
    step = max(1, BLOCK_CELLS // max(labels.size, 1))
    for start in range(0, rounds, step):
        counts = np.zeros((min(step, rounds - start), labels.size))
        for group in groups:
            counts[:, group] = generator.multinomial(group.size, np.full(group.size, 1 / group.size), len(counts))
        yield counts


def share(inside: NDArray[np.bool_], of: NDArray[np.bool_]) -> Drawn:
    """How many of the pictures `of` are `inside` (both bool (N,)): sensitivity, specificity, precision, accuracy."""
    both, whole = (inside & of).astype(float), of.astype(float)

    def figure(counts: Rounds) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.asarray((counts @ both) / (counts @ whole))

    return figure


def mean_of(shares: Sequence[Drawn]) -> Drawn:
    """Mean of several figures; those that are NaN in a round are left out of its mean."""

    def figure(counts: Rounds) -> NDArray[np.float64]:
        values = np.stack([each(counts) for each in shares])
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))

    return figure


def mean(values: NDArray[np.floating]) -> Drawn:
    """Mean of a quantity (N,) that each picture has: the log loss."""
    return lambda counts: np.asarray((counts @ values) / counts.sum(axis=1))


def calibration_error(labels: Labels, table: Table, *, bins: int = ECE_BINS) -> Drawn:
    """As `metrics.expected_calibration_error`."""
    confidence = table.max(axis=1)
    gap = (table.argmax(axis=1) == labels) - confidence
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    in_bin = np.zeros((labels.size, bins))
    in_bin[np.arange(labels.size), which] = gap
    return lambda counts: np.asarray(np.abs(counts @ in_bin).sum(axis=1) / counts.sum(axis=1))


def area(positive: NDArray[np.bool_], scores: Table, *, floor: float = 0.0) -> Drawn:
    """Area under the ROC curve, ties half; with a `floor`, of the part where the sensitivity is at least so much.

    The part is that of isic-challenge-scoring: from its false-positive rate to 1, down to sensitivity 0, not rescaled.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order].astype(float)
    # Pictures of equal score enter the curve together.
    last = np.r_[np.flatnonzero(np.diff(ranked)), ranked.size - 1]

    def figure(counts: Rounds) -> NDArray[np.float64]:
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

    return figure


def _interval(values: NDArray[np.float64]) -> Interval:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Interval(math.nan, math.nan)
    low, high = np.percentile(finite, PERCENTILES)
    return Interval(float(low), float(high))
