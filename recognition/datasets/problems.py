"""What is wrong with a file of a data set: one problem with its place, and the error that carries all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

PROBLEMS_SHOWN: Final = 20  # enough to see what kind of mistake it is


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong where: file name, line in it (1 is the header; 0 for the file as a whole), sentence."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The three fields as plain values."""
        return asdict(self)


class ExamplesError(Exception):
    """Tables or pictures cannot be used as they are. `problems` holds every problem found, in file order."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        self.problems = tuple(problems)
        shown = "\n".join(str(problem) for problem in self.problems[:PROBLEMS_SHOWN])
        more = len(self.problems) - PROBLEMS_SHOWN
        super().__init__(shown + (f"\nand {more} more." if more > 0 else ""))
