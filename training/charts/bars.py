"""Horizontal bars: one for each name, or divided into parts, or two points for each name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from training.charts import INK, MUTED, PAPER, RULE
from training.charts.style import BLUE, SMALL, canvas, style

ROW: Final = 0.29
"""Inches per bar."""

_FOOT: Final = 0.25
_INSIDE: Final = 0.07
"""A part of at least this width has room for its number."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its length (>= 0), what is written at its end, and its colour."""

    label: str
    value: float
    note: str
    colour: str = BLUE


@dataclass(frozen=True, slots=True)
class Part:
    """One part of divided bars, or one of two points: its name and colour."""

    label: str
    colour: str


def bars(items: Sequence[Bar], *, key: Sequence[Part] = ()) -> Figure:
    """Horizontal bars, the first on top. `key` names the colours above the bars."""
    with style():
        figure, axes = canvas(ROW * len(items) + _FOOT + (0.25 if key else 0.0))
        positions = range(len(items))
        axes.barh(positions, [item.value for item in items], color=[item.colour for item in items], height=0.68)
        axes.set_yticks(positions, [item.label for item in items])
        longest = max((item.value for item in items), default=0.0) or 1.0
        for position, item in zip(positions, items, strict=True):
            axes.text(item.value + longest * 0.012, position, item.note, va="center", color=INK, size=SMALL)
        axes.set_xlim(0, longest * 1.42)
        axes.set_ylim(len(items) - 0.4, -0.6)
        axes.set_xticks([])
        axes.axvline(0, color=RULE, linewidth=1)
        _name_colours(figure, key)
        return figure


def divided_bars(
    labels: Sequence[str], shares: Sequence[Sequence[float]], parts: Sequence[Part], *, notes: Sequence[str]
) -> Figure:
    """Bars of one length divided into `parts`; each row of `shares` adds up to 1, `notes` are at the ends."""
    with style():
        figure, axes = canvas(ROW * len(labels) + _FOOT + 0.25)
        positions = list(range(len(labels)))
        start = [0.0] * len(labels)
        for number, part in enumerate(parts):
            widths = [row[number] for row in shares]
            axes.barh(positions, widths, left=start, color=part.colour, height=0.68, edgecolor=PAPER, linewidth=0.8)
            for position, left, width in zip(positions, start, widths, strict=True):
                if width >= _INSIDE:
                    axes.text(
                        left + width / 2, position, f"{width:.0%}", va="center", ha="center", color="white", size=SMALL
                    )
            start = [left + width for left, width in zip(start, widths, strict=True)]
        for position, note in zip(positions, notes, strict=True):
            axes.text(1.015, position, note, va="center", color=MUTED, size=SMALL)
        axes.set_yticks(positions, labels)
        axes.set_xlim(0, 1.22)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xticks([])
        _name_colours(figure, parts)
        return figure


@dataclass(frozen=True, slots=True)
class Pair:
    """Two shares of one thing, drawn as two points with a line between them; a share may be None."""

    label: str
    first: float | None
    second: float | None
    note: str


def pairs(items: Sequence[Pair], *, first: Part, second: Part, reference: float, reference_label: str) -> Figure:
    """Two shares per name on one scale from 0, with a named reference line."""
    with style():
        figure, axes = canvas(0.4 * len(items) + 0.75)
        positions = range(len(items))
        axes.axvline(reference, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.text(reference, -0.72, reference_label, ha="center", va="bottom", color=MUTED, size=SMALL)
        for position, item in zip(positions, items, strict=True):
            known = [value for value in (item.first, item.second) if value is not None]
            if len(known) == 2:
                axes.plot(known, [position, position], color=RULE, linewidth=3, zorder=1, solid_capstyle="round")
            for value, part, side in ((item.first, first, -1), (item.second, second, 1)):
                if value is None:
                    continue
                axes.scatter([value], [position], s=44, color=part.colour, zorder=2)
                away = side if len(known) == 1 or known[0] <= known[1] else -side
                axes.annotate(
                    f"{value:.1%}".replace("%", "\u00a0%"), (value, position), xytext=(9 * away, 0),
                    textcoords="offset points", va="center", ha="left" if away > 0 else "right", size=SMALL,
                )  # fmt: skip
        axes.set_yticks(positions, [f"{item.label}\n{item.note}" for item in items])
        top = max([reference, *(v for item in items for v in (item.first, item.second) if v is not None)]) or 1.0
        axes.set_xlim(-0.2 * top, top * 1.3)
        axes.set_ylim(len(items) - 0.5, -0.8)
        axes.set_xticks([])
        _name_colours(figure, (first, second))
        return figure


def _name_colours(figure: Figure, parts: Sequence[Part]) -> None:
    """Write the meaning of each colour, in that colour, above the chart."""
    if not parts:
        return
    handles = [figure.axes[0].scatter([], [], s=52, marker="s", color=part.colour, label=part.label) for part in parts]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=len(parts), frameon=False, fontsize=SMALL, handletextpad=0.2,
        columnspacing=1.4, borderaxespad=0.0, labelcolor=INK,
    )  # fmt: skip
