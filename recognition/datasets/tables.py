"""Reading and checking of a data set's tables: one row per picture, from either of two layouts.

- the official ISIC 2019 challenge files: one-hot ground truth and metadata, https://challenge.isic-archive.com/data/#2019
- the download of the official `isic-cli` (`recognition.datasets.layouts`).

All problems are collected with file and line, so that a person can correct them at once. The header tells the layout.

About 2,000 official names end in `_downsampled` and mean the same ISIC image as the name without it. Names are compared
by their ISIC id: tables and files may use either spelling, and one image under both spellings is a problem.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from recognition.datasets import layouts
from recognition.datasets.csv_files import CsvFile, read_csv, require_columns, shown
from recognition.datasets.layouts import DOWNSAMPLED, GROUND_TRUTH_COLUMNS, METADATA_COLUMNS, isic_id
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.taxonomy import CODES, DERMOSCOPIC, SEXES, SITES, UNKNOWN_CODE

ROW_COLUMNS: Final = (
    "image", "diagnosis", "image_type", "age_approx", "anatom_site_general", "lesion_id", "patient_id", "sex",
    "details", "line",
)  # fmt: skip
"""`diagnosis` is "" for none of the eight; `image_type` is one of IMAGE_TYPES; `details` is a dict of what else the
source says, by its own column names."""

ISIC2019: Final = "isic2019"
ISIC_CLI: Final = "isic-cli"

AGE_LIMITS: Final = (0, 120)
# Names become file names in the archive and keys in the database: plain characters, at most 100.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_LESION_LENGTH: Final = 100
# The official files say neither: all pictures of ISIC 2019 are dermoscopic, and patients are not named.
_DEFAULTS: Final[Mapping[str, Any]] = {"image_type": DERMOSCOPIC, "patient_id": None, "details": {}}


@dataclass(slots=True)
class Tables:
    """The checked tables of a data set.

    `rows` has the columns `ROW_COLUMNS`, sorted by image; missing metadata is None (age: NaN); `line` is the line of
    the ground truth. With `problems` the rows must not be used. `notes` holds counts by name and lists of words that a
    person may want to know.
    """

    rows: pd.DataFrame
    problems: list[FileProblem]
    layout: str
    labels_file: str
    notes: dict[str, Any] = field(default_factory=dict)


def read_tables(*, ground_truth: Path, metadata: Path | None = None, leave_out_unmapped: bool = False) -> Tables:
    """Read and check the tables. Problems are returned, never raised.

    `leave_out_unmapped` concerns isic-cli downloads: rows whose diagnosis is none of the eight are left out and counted
    in the notes; otherwise each is a problem.
    """
    labels = read_csv(ground_truth)
    if layouts.is_isic_cli(labels.columns):
        return _read_isic_cli(labels, leave_out_unmapped, metadata)
    return _read_official(labels, metadata)


def _read_official(labels: CsvFile, metadata: Path | None) -> Tables:
    names = _Names(labels)
    records: list[dict[str, Any]] = []
    # A file that cannot be read has a problem already.
    readable = bool(labels.columns) and require_columns(labels, GROUND_TRUTH_COLUMNS)
    if readable and not labels.rows:
        labels.add_problem(0, "has no rows.")
    for line, row in zip(labels.lines, labels.rows, strict=True) if readable else ():
        image = row["image"]
        named = names.take(image, line)
        diagnosis = _one_hot(labels, line, row)
        if named and diagnosis:
            records.append({"image": image, "diagnosis": diagnosis, "line": line})
    problems = list(labels.problems)
    notes = names.notes()
    if metadata is not None:
        found = read_csv(metadata)
        by_image = _metadata(found)
        if by_image and readable:
            _join(records, by_image, found, labels.name)
            notes["metadata_rows_without_label"] = len(set(by_image) - names.ids)
        problems += found.problems
    return Tables(_frame(records), problems, ISIC2019, labels.name, notes)


def _read_isic_cli(labels: CsvFile, leave_out_unmapped: bool, metadata: Path | None) -> Tables:
    if metadata is not None:
        labels.add_problem(0, f"already holds the metadata; {metadata.name} does not belong to this layout.")
    if not layouts.has_diagnosis(labels.columns):
        labels.add_problem(1, f"has no column {layouts.DIAGNOSIS_LEVELS[1]} or {layouts.LEGACY_COLUMN}.")
        return Tables(_frame([]), labels.problems, ISIC_CLI, labels.name)
    if not labels.rows:
        labels.add_problem(0, "has no rows.")
    names = _Names(labels)
    records: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    types: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for line, row in zip(labels.lines, labels.rows, strict=True):
        image = row[layouts.ID_COLUMN]
        named = names.take(image, line)
        diagnosis = layouts.diagnosis_of(row)
        if diagnosis is None:
            words = layouts.words_of(row) or "no diagnosis"
            if not leave_out_unmapped:
                labels.add_problem(line, f"{image} is {shown(words)}, none of the eight diagnoses.")
            left_out[words] += 1
            continue
        checked = _checked_metadata(labels, line, row)
        types[row.get("image_type", "") or "not stated"] += 1
        licences[row.get("copyright_license", "") or "not stated"] += 1
        if named:
            records.append({"image": image, "diagnosis": diagnosis.value, "line": line, **checked})
    if labels.rows and not records and not labels.problems:
        labels.add_problem(0, "has no row with one of the eight diagnoses.")
    notes = {**names.notes(), "image_types": dict(types.most_common()), "licences": dict(licences.most_common())}
    if left_out:
        notes["left_out"] = dict(left_out.most_common())
    return Tables(_frame(records), labels.problems, ISIC_CLI, labels.name, notes)


class _Names:
    """Checks the image names of one file: present, plain, each ISIC image once."""

    def __init__(self, file: CsvFile) -> None:
        self._file = file
        self._line_of: dict[str, int] = {}
        self._downsampled = 0

    @property
    def ids(self) -> set[str]:
        return set(self._line_of)

    def take(self, image: str, line: int) -> bool:
        """Whether the name can be used; adds a problem if not."""
        if not image:
            self._file.add_problem(line, "has no image name.")
            return False
        if not _NAME.fullmatch(image):
            self._file.add_problem(
                line, f"{shown(image)} is not an image name: letters, digits, _ . - and at most 100."
            )
            return False
        first = self._line_of.setdefault(isic_id(image), line)
        if first != line:
            self._file.add_problem(line, f"{image} is there twice; the first time on line {first}.")
            return False
        self._downsampled += image.endswith(DOWNSAMPLED)
        return True

    def notes(self) -> dict[str, Any]:
        return {"downsampled_names": self._downsampled}


def _one_hot(labels: CsvFile, line: int, row: Mapping[str, str]) -> str | None:
    """The diagnosis of one row of the ground truth; None, and a problem, if it is not exactly one."""
    ones = []
    for code in (*CODES, UNKNOWN_CODE):
        try:
            value = float(row[code])
        except ValueError:
            labels.add_problem(line, f"{row['image']}: {code} is {shown(row[code])}; expected 0 or 1.")
            return None
        if value not in (0.0, 1.0):
            labels.add_problem(line, f"{row['image']}: {code} is {shown(row[code])}; expected 0 or 1.")
            return None
        if value:
            ones.append(code)
    if len(ones) != 1:
        said = " and ".join(ones) if ones else "none"
        labels.add_problem(line, f"{row['image']} needs exactly one diagnosis set to 1; it has {said}.")
        return None
    if ones[0] == UNKNOWN_CODE:
        labels.add_problem(line, f"{row['image']} is labelled {UNKNOWN_CODE}; only the eight diagnoses can be learned.")
        return None
    return ones[0]


def _metadata(found: CsvFile) -> dict[str, dict[str, Any]]:
    """The checked metadata by ISIC id; problems are added to `found`."""
    if not found.columns or not require_columns(found, METADATA_COLUMNS):
        return {}
    if not found.rows:
        found.add_problem(0, "has no rows.")
    names = _Names(found)
    by_image = {}
    for line, row in zip(found.lines, found.rows, strict=True):
        named = names.take(row["image"], line)
        checked = _checked_metadata(found, line, row)
        if named:
            by_image[isic_id(row["image"])] = checked
    return by_image


def _checked_metadata(found: CsvFile, line: int, row: Mapping[str, str]) -> dict[str, Any]:
    """Age, site, lesion and sex of one row; None (age: NaN) for a missing or wrong value."""
    age = float("nan")
    text = row.get("age_approx", "")
    if text:
        low, high = AGE_LIMITS
        try:
            age = float(text)
        except ValueError:
            age = float("inf")
        if not low <= age <= high:
            found.add_problem(line, f"age_approx is {shown(text)}; expected a number from {low} to {high}, or nothing.")
            age = float("nan")
    words: dict[str, str | None] = {}
    for column, known, meant in (
        ("anatom_site_general", SITES, "an ISIC site"),
        ("sex", SEXES, "male or female"),
    ):
        word = row.get(column, "")
        if word and word not in known:
            found.add_problem(line, f"{column} is {shown(word)}; expected {meant}, or nothing.")
        words[column] = word if word in known else None
    lesion = row.get("lesion_id", "")
    if len(lesion) > _LESION_LENGTH:
        found.add_problem(line, f"lesion_id is longer than {_LESION_LENGTH} characters.")
    return {"age_approx": age, "lesion_id": lesion or None, **words}


def _join(records: list[dict[str, Any]], by_image: Mapping[str, dict[str, Any]], found: CsvFile, labels: str) -> None:
    for record in records:
        more = by_image.get(isic_id(record["image"]))
        if more is None:
            found.add_problem(0, f"has no row for {record['image']} ({labels}, line {record['line']}).")
        else:
            record.update(more)


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame.from_records([{**_DEFAULTS, **record} for record in records], columns=list(ROW_COLUMNS))
    table["age_approx"] = pd.to_numeric(table["age_approx"])
    for column in ("anatom_site_general", "lesion_id", "patient_id", "sex"):
        table[column] = table[column].astype(object).where(table[column].notna(), None)
    return table.sort_values("image", kind="stable").reset_index(drop=True)


def read_labels(ground_truth: Path) -> dict[str, str]:
    """Image name to diagnosis code. Raises ExamplesError with every problem of the table."""
    tables = read_tables(ground_truth=ground_truth)
    if tables.problems:
        raise ExamplesError(tables.problems)
    return dict(zip(tables.rows["image"], tables.rows["diagnosis"], strict=True))


def read_lesions(metadata: Path) -> dict[str, str]:
    """Image name to lesion id, of any table with the columns image and lesion_id. Raises ExamplesError.

    Less strict than `read_tables`: other columns and images without a row are no mistake here.
    """
    found = read_csv(metadata)
    if not found.problems and not {"image", "lesion_id"} <= set(found.columns):
        found.add_problem(0, "the columns image and lesion_id are missing.")
    if found.problems:
        raise ExamplesError(found.problems)
    return {row["image"]: row["lesion_id"] for row in found.rows if row["image"] and row["lesion_id"]}
