"""95 % intervals from bootstrap rounds, for `bootstrap` and for `agreement`. Only NumPy: the web process loads it."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDS: Final = 1000
SEED: Final = 7
PERCENTILES: Final = (2.5, 97.5)

ERROR: Final = 0.05
"""One minus the confidence of an interval."""


def percentile_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the rounds (Efron and Tibshirani 1993, chapter 13).

    Rounds that are NaN are left out; without any other both ends are NaN.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return math.nan, math.nan
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)


def centred(value: float, rounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rounds, shifted so that their mean is the `value` of all pictures; without those that are NaN.

    For a metric that redrawing raises (a calibration error). The shift is the bootstrap's estimate of the bias (Efron
    and Tibshirani 1993, chapter 10); without it the interval may lie wholly above the value.
    """
    finite = rounds[np.isfinite(rounds)]
    return finite - finite.mean() + value if finite.size else finite


def share_interval(value: float, rounds: NDArray[np.float64], lesions: int) -> tuple[float, float]:
    """The interval of a share of pictures of this number of lesions, from its bootstrap rounds.

    A share of 0 or 1 is the same in every round, as if it were certain. Its other end is therefore the exact bound of
    Clopper and Pearson (1934) for none (or all) of n independent lesions, 1 - 0.05^(1/n), close to the "rule of three"
    3/n. It is one-sided, since the end at 0 or 1 cannot be wrong. NaN without lesions.
    """
    if lesions and value in {0.0, 1.0}:
        reach = 1.0 - ERROR ** (1.0 / lesions)
        return (0.0, reach) if value == 0.0 else (1.0 - reach, 1.0)
    return percentile_interval(rounds)
