"""The metadata that `manage.py classify` takes beside pictures: a row per image, in words of ISIC and PAD-UFES-20.

    image,age_approx,sex,anatom_site_general,itch,grew,hurt,changed,bleed,elevation
    IMG_0001,55,female,lower extremity,True,False,UNK,,False,True

Only the column image must be there. An empty cell means unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recognition.datasets.checks import AGE_LIMITS, general_site_in, number_in, sex_in
from recognition.datasets.csv_files import CsvFile, need_columns, read_csv, shown, unread_columns
from recognition.datasets.problems import ExamplesError
from recognition.inference.metadata import ANSWERS, DEMOGRAPHICS, Metadata

IMAGE: Final = "image"
FIELDS: Final = (*DEMOGRAPHICS, *ANSWERS)

# A spreadsheet writes TRUE for True.
_ANSWER_OF: Final[dict[str, bool | None]] = {"TRUE": True, "FALSE": False, "UNK": None, "": None}


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """`rows`: metadata by image; `lines`: the line of each; `unread`: columns that are not read, in their order."""

    rows: Mapping[str, Metadata]
    lines: Mapping[str, int]
    unread: tuple[str, ...]


def read_metadata_file(path: Path) -> MetadataFile:
    """Read and check the file. Raises ExamplesError with every problem found, each with its line."""
    found = read_csv(path)
    rows: dict[str, Metadata] = {}
    first: dict[str, int] = {}
    if found.columns and need_columns(found, (IMAGE,)):
        if not set(FIELDS) & set(found.columns):
            found.add_problem(1, f"has none of the columns {', '.join(FIELDS)}.")
        for line, row in zip(found.lines, found.rows, strict=True):
            image = row[IMAGE]
            metadata = _metadata(found, line, row)
            if not image:
                found.add_problem(line, "has no image name.")
            elif first.setdefault(image, line) != line:
                found.add_problem(line, f"{image} is there twice; the first time on line {first[image]}.")
            else:
                rows[image] = metadata
    if found.problems:
        raise ExamplesError(found.problems)
    return MetadataFile(rows, first, tuple(unread_columns(found, (IMAGE, *FIELDS))))


def _metadata(found: CsvFile, line: int, row: dict[str, str]) -> Metadata:
    answers: dict[str, Any] = {}
    for name in ANSWERS:
        said = row.get(name, "")
        if said.upper() in _ANSWER_OF:
            answers[name] = _ANSWER_OF[said.upper()]
        else:
            found.add_problem(line, f"{name} is {shown(said)}; expected True, False or UNK, or nothing.")
    return Metadata(
        age_approx=number_in(found, line, row, "age_approx", limits=AGE_LIMITS),
        sex=sex_in(found, line, row),
        anatom_site_general=general_site_in(found, line, row),
        **answers,
    )
