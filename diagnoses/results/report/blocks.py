"""The blocks of a report: text and numbers in reading order, without layout."""

from dataclasses import dataclass
from enum import StrEnum


class Style(StrEnum):
    """The style of a text."""

    TITLE = "title"
    HEADING = "heading"
    LARGE = "large"
    PLAIN = "plain"
    STRONG = "strong"
    QUIET = "quiet"


@dataclass(frozen=True)
class Text:
    """A paragraph. Line breaks are kept."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True)
class Facts:
    """Pairs of label and value. Both may be long."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Opening:
    """The photo beside its facts, with the heatmap if the reader may see it."""

    photo: str
    heatmap: str
    facts: Facts


@dataclass(frozen=True)
class Panel:
    """The advice in a box. `is_strong` if a doctor should look."""

    texts: tuple[Text, ...]
    is_strong: bool


@dataclass(frozen=True)
class ProbabilityRow:
    """One of the eight probabilities; `share` is 0 to 1."""

    name: str
    share: float
    number: str
    is_cancer: bool
    is_top: bool


@dataclass(frozen=True)
class ProbabilityBars:
    """All eight, the most probable first."""

    bars: tuple[ProbabilityRow, ...]


@dataclass(frozen=True)
class FigureTable:
    """A table with a header. The first column has text, the others have figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Text | Facts | Opening | Panel | ProbabilityBars | FigureTable
