"""The style of all charts: colours, sizes of type and bare axes."""

from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from training.charts import INK, MUTED, PAPER, RULE

__all__ = [
    "AMBER", "BLUE", "GREY", "INK", "MUTED", "PAPER", "RULE", "SMALL", "TEAL", "TEXT", "VERMILION", "WIDTH", "canvas",
    "style",
]  # fmt: skip

BLUE: Final = "#2f7fb8"
VERMILION: Final = "#d55e00"
AMBER: Final = "#d99a12"
TEAL: Final = "#169a7d"
GREY: Final = "#97a3ae"

WIDTH: Final = 5.4
"""Inches. A chart is scaled to its column, so this only sets the size of the text in it: readable on a telephone."""

TEXT: Final = 9.2
SMALL: Final = 8.2

_RC: Final[dict[str, Any]] = {
    # Text stays text: sharp at any size, found by a search in the page, in the reader's typeface.
    "svg.fonttype": "none",
    # A fixed salt: the same figures make the same file.
    "svg.hashsalt": "teri",
    "font.size": TEXT,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.labelsize": SMALL,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": TEXT,
    "axes.axisbelow": True,
}


def style() -> Any:
    """Matplotlib's settings to draw and save a figure, as a context manager."""
    return rc_context(_RC)  # type: ignore[arg-type]  # the stub wants a literal type for every key


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure of `WIDTH` by `height` inches with one bare axes; call inside `style()`."""
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes
