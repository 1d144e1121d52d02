"""Own what a wrong file looks like: a fault with its place, and the error that carries all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

FAULTS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Fault:
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
    """The files do not make a data set. `faults` holds every reason found, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(str(fault) for fault in self.faults[:FAULTS_SHOWN])
        more = len(self.faults) - FAULTS_SHOWN
        super().__init__(shown + (f"\nand {more} more." if more > 0 else ""))
