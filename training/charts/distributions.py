"""Distributions: columns over the steps of a scale, and ranges between quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from training.charts import INK, MUTED, RULE
from training.charts.bars import ROW
from training.charts.style import BLUE, SMALL, VERMILION, canvas, style

_HEIGHT: Final = 2.4


def columns(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    axis: str,
    mark: float | None = None,
    band: tuple[float, float] | None = None,
    mark_label: str = "",
) -> Figure:
    """Columns side by side, highest and last labelled; `mark` and `band` are in units of columns (0 is the first)."""
    with style():
        figure, axes = canvas(_HEIGHT)
        positions = range(len(labels))
        axes.bar(positions, values, color=BLUE, width=0.82)
        top = max(values, default=0.0) or 1.0
        if band is not None:
            axes.axvspan(*band, color=VERMILION, alpha=0.08, linewidth=0)
        if mark is not None:
            axes.plot([mark, mark], [0, top * 1.12], color=VERMILION, linewidth=1.4)
            axes.text(mark, top * 1.14, mark_label, ha="center", va="bottom", color=INK, size=SMALL)
        few = len(labels) <= 14
        peak = max(positions, key=lambda position: values[position])
        for position in positions:
            if few or position == peak:
                axes.text(
                    position, values[position] + top * 0.015, f"{values[position]:,.0f}", ha="center", va="bottom",
                    color=INK, size=SMALL,
                )  # fmt: skip
        axes.set_xticks(positions, labels)
        axes.set_xlabel(axis)
        axes.set_yticks([])
        axes.axhline(0, color=RULE, linewidth=1)
        axes.set_ylim(0, top * (1.28 if mark is not None else 1.12))
        axes.set_xlim(-0.7, len(labels) - 0.3)
        return figure


@dataclass(frozen=True, slots=True)
class Range:
    """Five quantiles of one thing, ascending: 5 %, 25 %, median, 75 %, 95 %."""

    label: str
    quantiles: tuple[float, float, float, float, float]
    note: str


def ranges(items: Sequence[Range], *, axis: str, low: float, high: float) -> Figure:
    """A thin line from 5 to 95 %, a thick one for the middle half, a point at the median."""
    with style():
        figure, axes = canvas(ROW * len(items) + 0.55)
        for position, item in enumerate(items):
            p5, p25, p50, p75, p95 = item.quantiles
            axes.plot([p5, p95], [position, position], color=BLUE, linewidth=1.3, solid_capstyle="butt")
            axes.plot([p25, p75], [position, position], color=BLUE, linewidth=8, alpha=0.45, solid_capstyle="butt")
            axes.scatter([p50], [position], s=44, color=BLUE, zorder=3)
            axes.text(high * 1.02, position, item.note, va="center", color=MUTED, size=SMALL)
        axes.set_yticks(range(len(items)), [item.label for item in items])
        axes.set_xlim(low, high * 1.17)
        ticks = list(range(int(low), int(high) + 1, 10))
        axes.set_xticks(ticks, [str(value) for value in ticks])
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        axes.set_ylim(len(items) - 0.4, -0.6)
        axes.set_xlabel(axis)
        return figure
