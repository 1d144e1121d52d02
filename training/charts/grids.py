"""Grids of shares in rows and columns: each cell shows its share as a number and as a shade."""

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from training.charts import INK
from training.charts.style import BLUE, SMALL, canvas, style

_CELL: Final = 0.34
_HEADING: Final = 6.6
"""Points: "extremity" must fit above a column when there are nine."""

_DARK_FROM: Final = 0.72
"""From this shade on, white text is easier to read than dark text."""


def grid(rows: Sequence[str], columns: Sequence[str], shares: Sequence[Sequence[float]]) -> Figure:
    """`shares` (rows x columns) in [0, 1], written as percentages; the shade runs from 0 to the largest share."""
    with style():
        figure, axes = canvas(_CELL * len(rows) + 0.85)
        top = max((share for row in shares for share in row), default=0.0) or 1.0
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                shade = share / top
                axes.add_patch(
                    Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=BLUE, alpha=shade, linewidth=0)
                )
                axes.text(
                    column, row, _figure(share), ha="center", va="center", size=SMALL,
                    color="white" if shade >= _DARK_FROM else INK,
                )  # fmt: skip
        axes.set_xticks(range(len(columns)), [label.replace(" ", "\n").replace("/", "/\n") for label in columns])
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", labelsize=_HEADING)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        return figure


def _figure(share: float) -> str:
    """The share as a percentage: a dash for 0, "<1%" for less than half a percent."""
    if not share:
        return "–"
    return "<1%" if share < 0.005 else f"{share:.0%}"
