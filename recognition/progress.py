"""Own how a pipeline step tells the outside how far it is, and how the outside stops it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class Cancelled(Exception):
    """Raised by a `Report` to stop the run after the current batch; what was checkpointed stays."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One sign of life.

    - `stage`: "examples", "features", "head", "fine-tune", "evaluate" or "seal";
    - `done`, `total`: units of the stage (pictures, batches, epochs), 0 <= done <= total;
    - `figures`: what is known so far, such as loss or validation balanced accuracy.
    """

    stage: str
    done: int
    total: int
    figures: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]
"""Called often (every batch). It may raise `Cancelled`; it must be quick."""


def silent(_: Progress) -> None:
    """The report of a caller who does not want one."""
