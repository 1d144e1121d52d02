"""The two live curves of a run's page: loss and balanced accuracy, as points for a template.

The page is updated every two seconds and the web process loads no chart library, so the template draws each curve as an
SVG polyline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

WIDTH: Final = 520
HEIGHT: Final = 200
LEFT, RIGHT, TOP, BOTTOM = 44, 124, 14, 26
TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: name, CSS class of its colour, its points in SVG syntax, and the place of its name."""

    name: str
    key: str
    points: str
    last_x: float
    last_y: float
    last: str


@dataclass(frozen=True, slots=True)
class LiveChart:
    """One chart: title, lines, ticks on both axes, and the x of the border to the second phase (None without one)."""

    title: str
    summary: str
    lines: list[Line]
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]
    border: float | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP


def history_charts(history: Sequence[Mapping[str, Any]]) -> list[LiveChart]:
    """The charts of a run's history; empty before the end of the first epoch."""
    if not history:
        return []
    return [
        _chart(_("Loss"), history, [("loss", _("training")), ("validation_loss", _("validation"))], floor=None),
        _chart(_("Balanced accuracy, validation"), history, [("balanced_accuracy", _("validation"))], floor=0.0),
    ]


def _chart(
    title: str, history: Sequence[Mapping[str, Any]], names: Sequence[tuple[str, str]], *, floor: float | None
) -> LiveChart:
    values = [float(entry[key]) for key, _name in names for entry in history if entry.get(key) is not None]
    low, high = (min(values) if floor is None else floor), max(values)
    if high <= low:
        high = low + 1.0
    step = (WIDTH - LEFT - RIGHT) / max(len(history) - 1, 1)

    def x(place: int) -> float:
        return round(LEFT + place * step, 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low)), 1)

    lines = []
    for key, name in names:
        places = [(x(place), y(float(entry[key]))) for place, entry in enumerate(history) if entry.get(key) is not None]
        last = float(history[-1].get(key) or 0.0)
        lines.append(
            Line(name, key, " ".join(f"{a},{b}" for a, b in places), places[-1][0], places[-1][1], f"{last:.3f}")
        )
    _keep_apart(lines)
    first_of_second = next((i for i, entry in enumerate(history) if entry["phase"] == "fine-tune"), None)
    shown = sorted({0, len(history) - 1, *([first_of_second] if first_of_second else [])})
    return LiveChart(
        title=title,
        summary=", ".join(f"{line.name} {line.last}" for line in lines),
        lines=lines,
        y_ticks=[(y(tick), f"{tick:.2f}") for tick in (low + (high - low) * i / (TICKS - 1) for i in range(TICKS))],
        x_ticks=[(x(place), str(history[place]["epoch"])) for place in shown],
        border=x(first_of_second) - step / 2 if first_of_second else None,
    )


def _keep_apart(lines: list[Line], least: float = 13.0) -> None:
    """Move the names of two curves that end at nearly the same height apart."""
    if len(lines) == 2 and abs(lines[0].last_y - lines[1].last_y) < least:
        upper, lower = sorted((0, 1), key=lambda i: lines[i].last_y)
        middle = (lines[0].last_y + lines[1].last_y) / 2
        for place, move in ((upper, -least / 2), (lower, least / 2)):
            line = lines[place]
            lines[place] = Line(line.name, line.key, line.points, line.last_x, middle + move, line.last)
