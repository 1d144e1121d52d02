"""Reading of CSV files: every cell as text, every row with its line number, every problem with its line.

Cells are separated by commas, or by semicolons as spreadsheets of many countries write them. This is the standard `csv`
module and not pandas: pandas skips blank lines and fills short rows silently, so a problem would get the wrong line or
none.
"""

import csv
from collections import Counter
from collections.abc import Collection, Sequence
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
    `problems`: everything wrong with the file. A row whose number of cells differs from the header, or with a zero byte
    (PostgreSQL stores none), is a problem and not among `rows`.
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
    last = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            found.columns = tuple(name.strip() for name in next(reader, []))
            last = reader.line_num
            for cells in reader:
                line, last = last + 1, reader.line_num
                if not cells:
                    continue  # a blank line is skipped
                if len(cells) != len(found.columns):
                    found.add_problem(line, f"has {len(cells)} cells; the header has {len(found.columns)}.")
                    continue
                if any("\0" in cell for cell in cells):
                    found.add_problem(line, "has a zero byte, which no text has.")
                    continue
                found.rows.append(dict(zip(found.columns, (cell.strip() for cell in cells), strict=True)))
                found.lines.append(line)
    except UnicodeDecodeError:
        found.add_problem(0, "is not text in UTF-8. Save it as CSV (UTF-8), or check that it is the right file.")
    except csv.Error as error:
        found.add_problem(last + 1, f"is not a proper CSV file: {error}.")
    except OSError as error:
        found.add_problem(0, f"cannot be read: {error.strerror or error}.")
    if not found.problems and not found.columns:
        found.add_problem(0, "is empty.")
    for name, count in Counter(found.columns).items():
        if count > 1:
            found.add_problem(1, f"has the column {shown(name)} {count} times.")
    return found


def read_header(path: Path) -> tuple[str, ...]:
    """The column names of `path`; empty if it cannot be read as CSV."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return columns_of(file.readline())
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()


def columns_of(first_line: str) -> tuple[str, ...]:
    """The column names in the first line of a CSV file. Raises csv.Error."""
    return tuple(name.strip() for name in next(csv.reader([first_line], delimiter=_delimiter(first_line)), []))


def _delimiter(first_line: str) -> str:
    """A semicolon where the header has semicolons and no comma, otherwise a comma."""
    return ";" if ";" in first_line and "," not in first_line else ","


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


def need_columns(found: CsvFile, needed: Sequence[str]) -> bool:
    """Whether all columns of `needed` are there, among any others; adds a problem if not."""
    missing = [name for name in needed if name not in found.columns]
    if missing and found.columns:
        found.add_problem(1, f"has no column {', '.join(missing)}; it has {', '.join(found.columns)}.")
    return not missing


def unread_columns(found: CsvFile, read: Collection[str]) -> list[str]:
    """The columns of the file that are not in `read`, in their order."""
    return [name for name in found.columns if name not in read]


def missing_columns(found: CsvFile, known: Sequence[str]) -> list[str]:
    """The columns of `known` that the file does not have."""
    return [name for name in known if name not in found.columns]


def shown(cell: str) -> str:
    """A cell in quotes for a message, at most `CELL_SHOWN` characters of it."""
    return repr(cell if len(cell) <= CELL_SHOWN else f"{cell[:CELL_SHOWN]}…")
