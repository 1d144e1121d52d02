"""The geometry of the two drift charts: pairs of bars that a template draws as SVG. The web process loads no chart
library.
"""

import math
from dataclasses import dataclass
from typing import Final

from diagnoses.monitoring.drift.measured import BINS, Comparison
from recognition.taxonomy import CODES

WIDTH: Final = 560
HEIGHT: Final = 200
LEFT: Final = 44
TOP: Final = 12
BOTTOM: Final = 28
GAP: Final = 0.28
"""The empty share of the space of a pair."""

FINE, COARSE = 10, 20
"""Per cent between two ticks: for low charts, and for charts above one half."""


@dataclass(frozen=True, slots=True)
class DriftBar:
    """One bar, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarPair:
    """One category: its name, both shares (0 to 1), both bars, and the position of the name."""

    name: str
    before: float
    after: float
    bar_before: DriftBar
    bar_after: DriftBar
    middle: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Pairs of bars on one scale. `ticks` are heights with their shares in per cent."""

    pairs: list[BarPair]
    ticks: list[tuple[float, int]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def bars_of_scores(comparison: Comparison) -> BarChart:
    """The distribution of the malignant score over ten bins, before and after."""
    names = [f"{number * 100 // BINS}–{(number + 1) * 100 // BINS}" for number in range(BINS)]
    return _chart(names, comparison.before.scores, comparison.after.scores)


def bars_of_mix(comparison: Comparison) -> BarChart:
    """The shares of the top diagnoses, before and after, in ISIC order."""
    return _chart(list(CODES), comparison.before.mix, comparison.after.mix)


def _chart(names: list[str], before: tuple[int, ...], after: tuple[int, ...]) -> BarChart:
    shares_before = [count / max(sum(before), 1) for count in before]
    shares_after = [count / max(sum(after), 1) for count in after]
    highest = 100 * max(*shares_before, *shares_after)
    step = FINE if highest <= 50 else COARSE
    # The scale ends at a tick mark.
    top = step * max(1, math.ceil(highest / step))
    place = (WIDTH - LEFT) / len(names)
    width = place * (1 - GAP) / 2

    def bar(x: float, share: float) -> DriftBar:
        height = (HEIGHT - TOP - BOTTOM) * 100 * share / top
        return DriftBar(round(x, 1), round(HEIGHT - BOTTOM - height, 1), round(width, 1), round(height, 1))

    pairs = []
    for number, (name, b, a) in enumerate(zip(names, shares_before, shares_after, strict=True)):
        x = LEFT + number * place + place * GAP / 2
        pairs.append(BarPair(name, b, a, bar(x, b), bar(x + width, a), round(x + width, 1)))
    ticks = [
        (round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * tick / top, 1), tick) for tick in range(0, top + 1, step)
    ]
    return BarChart(pairs, ticks)
