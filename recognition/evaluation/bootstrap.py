"""The bootstrap: metrics of a split with their 95 % intervals.

The pictures of each diagnosis are redrawn among themselves (stratified), so that every round has the rare ones. A round
is a row of counts: how often each picture was drawn. A metric (`metrics.Metric`) is a function of such counts and is
computed for many rounds at once. The interval is from the 2.5th to the 97.5th percentile (Efron and Tibshirani 1993,
chapter 13).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import Counts, Labels, Metric

ROUNDS: Final = 1000
SEED: Final = 7
PERCENTILES: Final = (2.5, 97.5)

BLOCK_CELLS: Final = 2_000_000
"""Most counts in memory at once (16 MB as float64): 1,000 rounds of 1,248 pictures are one block."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of all pictures, and the ends of its 95 % interval; NaN if the metric is not defined."""

    value: float
    low: float
    high: float


def on_all(metric: Metric, labels: Labels) -> float:
    """A metric of all pictures, without the bootstrap."""
    return float(metric(np.ones((1, labels.size)))[0])


def estimates(
    metrics: Mapping[str, Metric], labels: Labels, *, rounds: int = ROUNDS, seed: int = SEED, one_by_one: bool = False
) -> dict[str, Estimate]:
    """Every metric with its interval, all from the same rounds.

    Rounds in which a metric is NaN are left out for it. `one_by_one`: see `redrawn`.
    """
    seen: dict[str, list[NDArray[np.float64]]] = {name: [] for name in metrics}
    for counts in redrawn(labels, rounds=rounds, seed=seed, one_by_one=one_by_one):
        for name, metric in metrics.items():
            seen[name].append(metric(counts))
    return {
        name: Estimate(on_all(metrics[name], labels), *_interval(np.concatenate(parts))) for name, parts in seen.items()
    }


def redrawn(labels: Labels, *, rounds: int, seed: int, one_by_one: bool = False) -> Iterator[Counts]:
    """Blocks of rounds, each (rounds in the block, N). The counts of a diagnosis add up to its number of pictures.

    With `one_by_one` the pictures are drawn one after another instead of all counts at once. The distribution is the
    same. Sealed metrics use it, so that sealing a bundle again gives the same intervals.
    """
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == position) for position in np.unique(labels)]
    step = max(1, BLOCK_CELLS // max(labels.size, 1))
    for start in range(0, rounds, step):
        counts = np.zeros((min(step, rounds - start), labels.size))
        if one_by_one:
            for row in counts:
                for group in groups:
                    row[group] = np.bincount(generator.integers(0, group.size, group.size), minlength=group.size)
        else:
            for group in groups:
                counts[:, group] = generator.multinomial(group.size, np.full(group.size, 1 / group.size), len(counts))
        yield counts


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return math.nan, math.nan
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)
