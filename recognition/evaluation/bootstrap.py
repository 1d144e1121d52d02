"""The bootstrap over lesions: metrics of a split with their 95 % intervals, and differences of two classifiers.

Pictures of one lesion are not independent, so lesions are redrawn, each with all its pictures. The lesions of each
diagnosis are redrawn among themselves (stratified), so that every round has the rare ones. A round is a row of counts:
how often each picture was drawn. A metric (`metrics.Metric`) is a function of such counts and is computed for many
rounds at once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.intervals import ROUNDS, SEED, centred, percentile_interval, share_interval
from recognition.evaluation.metrics import CalibrationError, Counts, Labels, Metric, Proportion

BLOCK_CELLS: Final = 2_000_000
"""Most counts in memory at once (16 MB as float64): 1,000 rounds of 2,000 pictures are one block."""

Groups = Sequence[str] | NDArray[Any] | None
"""The lesion of each of N pictures, for example `datasets.splits.lesion_groups`. None only for data without lesion ids:
each picture is then a lesion by itself."""


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
    metrics: Mapping[str, Metric], labels: Labels, groups: Groups, *, rounds: int = ROUNDS, seed: int = SEED
) -> dict[str, Estimate]:
    """Every metric with its interval, all from the same rounds; `labels` (N,), `groups` (N,).

    Rounds in which a metric is NaN are left out for it. Shares of none or all pictures and calibration errors have the
    interval that `intervals.share_interval` and `intervals.centred` say.
    """
    seen = _rounds_of(metrics, labels, groups, rounds=rounds, seed=seed)
    found = {}
    for name, metric in metrics.items():
        value = on_all(metric, labels)
        if isinstance(metric, Proportion):
            ends = share_interval(value, seen[name], number_of_lesions(groups, metric.of))
        elif isinstance(metric, CalibrationError):
            low, high = percentile_interval(centred(value, seen[name]))
            ends = max(0.0, low), high
        else:
            ends = percentile_interval(seen[name])
        found[name] = Estimate(value, *ends)
    return found


def paired_differences(
    metrics_new: Mapping[str, Metric],
    metrics_live: Mapping[str, Metric],
    labels: Labels,
    groups: Groups,
    *,
    rounds: int = ROUNDS,
    seed: int = SEED,
) -> dict[str, Estimate]:
    """Each metric of the new classifier minus the same of the live one, on the same pictures (paired bootstrap).

    Both are computed on the same redrawn lesions, so what is hard about a lesion is hard for both. A metric that is the
    same in every round (two classifiers that answer alike) has an interval without width: with few lesions that is no
    proof of anything, so ask for enough of them before this. Raises ValueError unless both have the same metrics.
    """
    if metrics_new.keys() != metrics_live.keys():
        raise ValueError("Two classifiers are compared by the same metrics.")
    differences = {name: _difference(metric, metrics_live[name]) for name, metric in metrics_new.items()}
    seen = _rounds_of(differences, labels, groups, rounds=rounds, seed=seed)
    found = {}
    for name, metric in differences.items():
        value = on_all(metric, labels)
        if isinstance(metrics_new[name], CalibrationError):
            # Redrawing raises the error of the better calibrated one more.
            seen[name] = centred(value, seen[name])
        found[name] = Estimate(value, *percentile_interval(seen[name]))
    return found


def redrawn(labels: Labels, groups: Groups, *, rounds: int, seed: int) -> Iterator[Counts]:
    """Blocks of rounds, each (rounds in the block, N); pictures of one lesion have the same count.

    A round draws as many lesions of each diagnosis as there are. A group with several diagnoses (all lesions of a
    patient) is drawn with those of its rarest.
    """
    generator = np.random.default_rng(seed)
    lesion, strata = _strata(labels, groups)
    step = max(1, BLOCK_CELLS // max(labels.size, 1))
    for start in range(0, rounds, step):
        block = min(step, rounds - start)
        counts = np.zeros((block, lesion.max(initial=-1) + 1))
        for stratum in strata:
            drawn = generator.integers(0, stratum.size, (block, stratum.size))
            cells = drawn + stratum.size * np.arange(block)[:, None]
            counts[:, stratum] = np.bincount(cells.ravel(), minlength=block * stratum.size).reshape(block, stratum.size)
        yield counts[:, lesion]


def number_of_lesions(groups: Groups, chosen: NDArray[np.bool_]) -> int:
    """How many lesions the `chosen` pictures (N,) show."""
    return int(chosen.sum()) if groups is None else int(np.unique(np.asarray(groups)[chosen]).size)


def _rounds_of(
    metrics: Mapping[str, Metric], labels: Labels, groups: Groups, *, rounds: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    seen: dict[str, list[NDArray[np.float64]]] = {name: [] for name in metrics}
    for counts in redrawn(labels, groups, rounds=rounds, seed=seed):
        for name, metric in metrics.items():
            seen[name].append(metric(counts))
    return {name: np.concatenate(parts) if parts else np.array([math.nan]) for name, parts in seen.items()}


def _difference(new: Metric, live: Metric) -> Metric:
    return lambda counts: new(counts) - live(counts)


def _strata(labels: Labels, groups: Groups) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
    """The lesion (N,) of each picture as a number from 0, and the numbers of the lesions of each diagnosis."""
    named = np.arange(labels.size) if groups is None else np.asarray(groups)
    if named.shape != labels.shape:
        raise ValueError(f"{labels.size} pictures, but {named.size} lesions.")
    # In the order of the pictures, so that the rounds do not depend on how lesions are named.
    _, first, inverse = np.unique(named, return_index=True, return_inverse=True)
    lesion = np.argsort(np.argsort(first))[inverse]
    present = np.unique(np.stack([lesion, labels], axis=1), axis=0)
    lesions_of = {label: present[present[:, 1] == label, 0] for label in np.unique(labels)}
    stratum = np.zeros(first.size, dtype=np.intp)
    # The rarest last: it counts where a group has several.
    for label in sorted(lesions_of, key=lambda label: (-lesions_of[label].size, label)):
        stratum[lesions_of[label]] = label
    return lesion, [np.flatnonzero(stratum == label) for label in np.unique(stratum)]
