"""Progress reports of long steps, and how a caller stops such a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class Cancelled(Exception):
    """Raised by a `Report` to stop the run after the current batch; checkpoints stay on disk."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one step of a run is.

    - `stage`: "examples", "features", "head", "fine-tune", "evaluate" or "seal";
    - `done`, `total`: units of the stage (pictures, batches, epochs), 0 <= done <= total;
    - `figures`: what is known so far, such as loss or validation balanced accuracy.
    """

    stage: str
    done: int
    total: int
    figures: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]
"""A function that is called after every batch. It must be quick. It may raise `Cancelled`."""


def silent(_: Progress) -> None:
    """A report that does nothing: the default."""
