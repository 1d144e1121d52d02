"""The form of a result: a section with figures, one sentence that reads them, and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["text", "count", "share", "number"]
"""How a cell is shown: as text, with thousands separators, as a percentage, or with one decimal."""

NBSP: Final = "\u00a0"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a section's table: a key for programs, a heading for people."""

    key: str
    label: str
    kind: Kind = "count"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of an exploration.

    - `reading`: one sentence computed from the figures; `caution`: what could mislead, or "";
    - `figures`: the numbers by name, plain JSON; `columns` and `rows`: the same as a table, cells in column order.
    """

    key: str
    title: str
    reading: str
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[Any]] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    caution: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "key": self.key,
            "title": self.title,
            "reading": self.reading,
            "caution": self.caution,
            "figures": dict(self.figures),
            "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in self.columns],
            "rows": [list(row) for row in self.rows],
        }


def percent(share: float) -> str:
    """A share as a percentage: 0.334 is "33.4 %"."""
    return f"{share:.1%}".replace("%", f"{NBSP}%")


def count(number: int) -> str:
    """A whole number with thousands separators."""
    return f"{number:,}"
