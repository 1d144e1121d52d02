"""Curves over the epochs of a training: the training pictures and the validation pictures in one chart."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from training.charts import INK, MUTED, RULE
from training.charts.style import SMALL, canvas, style

_HEIGHT = 2.9
_LABEL_GAP = 0.055
"""Least distance between two names at the right end, as a share of the axis."""


@dataclass(frozen=True, slots=True)
class EpochCurve:
    """One curve: its name, its value after each epoch, and its colour."""

    label: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a training: its name and its number of epochs."""

    label: str
    epochs: int


@dataclass(frozen=True, slots=True)
class Level:
    """A named horizontal line, for example what the commonest answer reaches."""

    label: str
    value: float


def epoch_curves(
    curves: Sequence[EpochCurve], *, stages: Sequence[Stage], y: str, level: Level | None = None
) -> Figure:
    """The curves over their epochs, which count from 1 through all `stages`; the name of a curve is at its end."""
    with style():
        figure, axes = canvas(_HEIGHT)
        epochs = sum(stage.epochs for stage in stages)
        values = [value for curve in curves for value in curve.values] + ([level.value] if level else [])
        low, high = min(values), max(values)
        room = (high - low) * 0.12 or 0.1
        low, high = low - room, high + room
        axes.set_ylim(low, high)
        axes.set_xlim(0.6, epochs + 0.3)
        axes.spines["bottom"].set_visible(True)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_xticks(range(1, epochs + 1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(y)
        if level is not None:
            axes.axhline(level.value, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
            axes.text(0.7, level.value, level.label, color=MUTED, size=SMALL, va="top")
        first = 1
        for stage in stages:
            if first > 1:
                axes.axvline(first - 0.5, color=MUTED, linewidth=1)
            axes.annotate(
                stage.label, (first - 0.35, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", color=INK, size=SMALL,
            )  # fmt: skip
            first += stage.epochs
        for curve in curves:
            places = range(1, len(curve.values) + 1)
            axes.plot(places, curve.values, color=curve.colour, linewidth=1.6, marker="o", markersize=3.5)
        least = (high - low) * _LABEL_GAP
        at = -float("inf")
        for curve in sorted(curves, key=lambda each: each.values[-1]):
            at = max(curve.values[-1], at + least)
            axes.annotate(
                curve.label, (len(curve.values), at), xytext=(9, 0), textcoords="offset points", va="center",
                color=curve.colour, size=SMALL, annotation_clip=False,
            )  # fmt: skip
        return figure
