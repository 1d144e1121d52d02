"""Reading of CSV files: every cell as text, every row with its line number, every problem with its line.

This is the standard `csv` module and not pandas: pandas skips blank lines and fills short rows silently, so a problem
would get the wrong line or none.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recognition.datasets.problems import FileProblem

CELL_SHOWN: Final = 60
"""Most characters of a cell in a message."""


@dataclass(slots=True)
class CsvFile:
    """One CSV file.

    `columns`: the header. `rows`: one dictionary column -> text per row. `lines`: the line on which each row starts.
    `problems`: everything wrong with the file. A row whose number of cells differs from the header is a problem and
    not among `rows`.
    """

    name: str
    columns: tuple[str, ...] = ()
    rows: list[dict[str, str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)

    def add_problem(self, line: int, reason: str) -> None:
        """Add a problem of this file; line 0 means the whole file."""
        self.problems.append(FileProblem(self.name, line, reason))


def read_csv(path: Path) -> CsvFile:
    """Read `path` (UTF-8, with or without a byte order mark). Never raises: what is wrong goes into `problems`."""
    found = CsvFile(path.name)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            found.columns = tuple(name.strip() for name in next(reader, []))
            last = reader.line_num
            for cells in reader:
                line, last = last + 1, reader.line_num
                if not cells:
                    continue  # a blank line is skipped
                if len(cells) != len(found.columns):
                    found.add_problem(line, f"has {len(cells)} cells; the header has {len(found.columns)}.")
                    continue
                found.rows.append(dict(zip(found.columns, (cell.strip() for cell in cells), strict=True)))
                found.lines.append(line)
    except UnicodeDecodeError:
        found.add_problem(0, "is not text in UTF-8. Save it as CSV (UTF-8), or check that it is the right file.")
    except csv.Error as error:
        found.add_problem(0, f"is not a proper CSV file: {error}.")
    except OSError as error:
        found.add_problem(0, f"cannot be read: {error.strerror or error}.")
    if not found.problems and not found.columns:
        found.add_problem(0, "is empty.")
    return found


def read_header(path: Path) -> tuple[str, ...]:
    """The column names of `path`; empty if it cannot be read as CSV."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(name.strip() for name in next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()


def require_columns(found: CsvFile, expected: Sequence[str]) -> bool:
    """Whether the columns are exactly `expected`, in that order; adds a problem if not."""
    if found.columns == tuple(expected):
        return True
    missing = [name for name in expected if name not in found.columns]
    extra = [name for name in found.columns if name not in expected]
    reason = f"has the columns {', '.join(found.columns) or '(none)'}; expected exactly {', '.join(expected)}"
    if missing:
        reason += f"; missing: {', '.join(missing)}"
    if extra:
        reason += f"; not expected: {', '.join(extra)}"
    found.add_problem(1, f"{reason}.")
    return False


def shown(cell: str) -> str:
    """A cell in quotes for a message, at most `CELL_SHOWN` characters of it."""
    return repr(cell if len(cell) <= CELL_SHOWN else f"{cell[:CELL_SHOWN]}…")
