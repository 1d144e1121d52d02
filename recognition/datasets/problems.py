"""Problems of a data set's files: `FileProblem` with its place, and `ExamplesError`, which carries all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

PROBLEMS_SHOWN: Final = 20  # enough to see the kind of mistake


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One problem: file name, line (1 is the header, 0 the whole file), and a sentence."""

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
