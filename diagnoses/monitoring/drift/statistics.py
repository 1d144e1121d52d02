"""The statistics of drift: plain functions of counts, without Django.

The counts are of two groups over the same categories, such as bins of the malignant score or the eight diagnoses.
"""

import math
from collections.abc import Sequence
from typing import Final

from recognition.evaluation.agreement import Share

CHI_SQUARE_999: Final = (10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877, 29.588)
"""The 99.9 % quantiles of chi-square with 1 to 10 degrees of freedom: one false alarm in 1,000 daily checks."""

SMOOTHING: Final = 0.5
"""Added to every count before taking logarithms (Jeffreys), so that empty categories have a small share, not zero."""


def histogram(scores: Sequence[float], bins: int) -> list[int]:
    """The number of scores (0 to 1) in each of `bins` equal bins. The last bin includes 1."""
    counts = [0] * bins
    for score in scores:
        counts[min(max(int(score * bins), 0), bins - 1)] += 1
    return counts


def stability_index(before: Sequence[int], after: Sequence[int]) -> float:
    """The population stability index: the sum of (a - b) ln(a / b) over shares b before and a after; 0 where equal.

    Siddiqi 2006, "Credit Risk Scorecards": below 0.1 is no shift, above 0.25 is a large shift. Categories that are
    empty on both sides are left out. Returns 0 if a side is empty.
    """
    pairs = _occupied(before, after)
    if not sum(before) or not sum(after):
        return 0.0
    total_before = sum(before) + SMOOTHING * len(pairs)
    total_after = sum(after) + SMOOTHING * len(pairs)
    shares = [((b + SMOOTHING) / total_before, (a + SMOOTHING) / total_after) for b, a in pairs]
    return math.fsum((a - b) * math.log(a / b) for b, a in shares)


def stability_by_chance(before: Sequence[int], after: Sequence[int]) -> float:
    """The limit that the stability index exceeds once in a thousand times without any shift.

    The index times the harmonic size is about chi-square with one degree of freedom less than categories (Yurdakul and
    Naranjo 2020, "Statistical properties of the population stability index"). Infinite if nothing can be compared.
    """
    degrees = len(_occupied(before, after)) - 1
    if degrees < 1 or not sum(before) or not sum(after):
        return math.inf
    return (1 / sum(before) + 1 / sum(after)) * CHI_SQUARE_999[min(degrees, len(CHI_SQUARE_999)) - 1]


def total_variation(before: Sequence[int], after: Sequence[int]) -> float:
    """The total variation distance of the shares, 0 to 1: the share of answers that would have to change."""
    all_before, all_after = sum(before), sum(after)
    if not all_before or not all_after:
        return 0.0
    return math.fsum(abs(a / all_after - b / all_before) for b, a in zip(before, after, strict=True)) / 2


def is_by_chance(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether Pearson's chi-square test of homogeneity accepts both as one distribution at the 0.001 level."""
    pairs = _occupied(before, after)
    all_before, all_after = sum(before), sum(after)
    degrees = len(pairs) - 1
    if degrees < 1 or not all_before or not all_after:
        return True
    everything = all_before + all_after
    statistic = 0.0
    for b, a in pairs:
        for count, all_of_side in ((b, all_before), (a, all_after)):
            expected = (a + b) * all_of_side / everything
            statistic += (count - expected) ** 2 / expected
    return statistic <= CHI_SQUARE_999[min(degrees, len(CHI_SQUARE_999)) - 1]


def difference(before: Share, after: Share) -> tuple[float, float]:
    """The 95 % interval of `after` minus `before`, two groups of lesions, from the interval of each.

    Zou and Donner 2008, "Construction of confidence intervals about effect measures": from the value, the distances of
    the ends that matter add up in squares.
    """
    gap = after.value - before.value
    low = gap - math.hypot(after.value - after.low, before.high - before.value)
    high = gap + math.hypot(after.high - after.value, before.value - before.low)
    return low, high


def _occupied(before: Sequence[int], after: Sequence[int]) -> list[tuple[int, int]]:
    return [(b, a) for b, a in zip(before, after, strict=True) if b or a]
