"""Curves in the unit square: ROC curves side by side, and confidence against accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.charts import INK, MUTED, RULE
from training.charts.style import BLUE, GREY, SMALL, TEXT, WIDTH, style

_PANELS_A_ROW: Final = 3
_TICKS: Final = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """Points from left to right, in [0, 1]. `dots` are weights: each point gets a dot with an area in proportion."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = BLUE
    dots: Sequence[float] = ()


def panels(curves: Sequence[Curve], *, x: str, y: str) -> Figure:
    """One small square per curve, its label above it, the diagonal of chance in each."""
    with style():
        rows = -(-len(curves) // _PANELS_A_ROW)
        figure = Figure(figsize=(WIDTH, 2.35 * rows), layout="constrained")
        figure.patch.set_alpha(0.0)
        grid = figure.subplots(rows, _PANELS_A_ROW, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number >= len(curves):
                axes.set_visible(False)
                continue
            curve = curves[number]
            _square(axes)
            axes.fill_between(curve.x, curve.y, step=None, color=curve.colour, alpha=0.12, linewidth=0)
            axes.plot(curve.x, curve.y, color=curve.colour, linewidth=1.6)
            axes.set_title(curve.label, loc="left", size=TEXT, color=INK, pad=4)
            if number % _PANELS_A_ROW == 0:
                axes.set_ylabel(y)
            if number + _PANELS_A_ROW >= len(curves):
                axes.set_xlabel(x)
        return figure


def square(curves: Sequence[Curve], *, x: str, y: str, labels: Mapping[str, tuple[float, float]]) -> Figure:
    """Several curves in one square; `labels` has the place of each name, which has the colour of its curve."""
    with style():
        figure = Figure(figsize=(WIDTH * 0.62, WIDTH * 0.6), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        _square(axes)
        for curve in curves:
            axes.plot(curve.x, curve.y, color=curve.colour, linewidth=1.6)
            if curve.dots:
                top = max(curve.dots) or 1.0
                sizes = [12 + 90 * weight / top for weight in curve.dots]
                axes.scatter(curve.x, curve.y, s=sizes, color=curve.colour, zorder=3, linewidths=0)
            axes.text(
                *labels[curve.label], curve.label, color=MUTED if curve.colour == GREY else curve.colour, size=SMALL
            )
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        return figure


def _square(axes: Axes) -> None:
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right", "left", "bottom"]].set_color(RULE)
    axes.tick_params(length=0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_aspect("equal")
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
