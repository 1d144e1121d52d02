"""Reading and checking of a data set's tables: one row per picture, whatever the layout.

- the official ISIC 2019 challenge files: one-hot ground truth and metadata, https://challenge.isic-archive.com/data/#2019
- the download of the official `isic-cli` (`recognition.datasets.layouts`).

MILK10k and PAD-UFES-20 have readers of their own, `recognition.datasets.milk10k` and `recognition.datasets.pad_ufes`,
which give the same `Tables`.

All problems are collected with file and line, so that a person can correct them at once. The header tells the layout.

About 2,000 official names end in `_downsampled` and mean the same ISIC image as the name without it. Names are compared
by their ISIC id: tables and files may use either spelling, and one image under both spellings is a problem.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from recognition.datasets import layouts
from recognition.datasets.checks import ImageNames, age_in, general_site_in, id_in, one_hot, sex_in
from recognition.datasets.csv_files import CsvFile, missing_columns, read_csv, require_columns, shown, unread_columns
from recognition.datasets.layouts import (
    GROUND_TRUTH_COLUMNS,
    METADATA_COLUMNS,
    TEST_COLUMNS,
    TEST_METADATA_COLUMNS,
    isic_id,
)
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.sites import ANATOM_SITE_LEVELS, site_of_path
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES, UNKNOWN_CODE

ROW_COLUMNS: Final = (
    "image", "diagnosis", "image_type", "age_approx", "anatom_site_general", "lesion_id", "patient_id", "sex",
    "details", "line",
)  # fmt: skip
"""`diagnosis` is "" for none of the eight; `image_type` is one of IMAGE_TYPES; `details` is a dict of what else the
source says, by its own column names."""

ISIC2019: Final = "isic2019"
ISIC_CLI: Final = "isic-cli"
MILK10K: Final = "milk10k"
PAD_UFES: Final = "pad-ufes-20"

NOT_STATED: Final = "not stated"
"""The word in counts for an empty cell."""

_LEARNED_MANIPULATIONS: Final = ("", "altered", "instrument only")
_ISIC_CLI_EXPECTED: Final = (
    "age_approx", "copyright_license", "image_type", "lesion_id", "patient_id", "sex",
)  # fmt: skip
_ISIC_CLI_DETAILS: Final = ("fitzpatrick_skin_type", "image_manipulation")
_ISIC_CLI_READ: Final = (
    layouts.ID_COLUMN, layouts.LEGACY_COLUMN, *layouts.DIAGNOSIS_LEVELS, "anatom_site_general", *ANATOM_SITE_LEVELS,
    "anatom_site_special", *_ISIC_CLI_EXPECTED, *_ISIC_CLI_DETAILS,
)  # fmt: skip
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
    """Read and check the tables of ISIC 2019 or isic-cli. Problems are returned, never raised.

    With `leave_out_unmapped`, rows whose diagnosis is none of the eight (UNK in the official files) are left out and
    counted in the notes; otherwise each is a problem.
    """
    labels = read_csv(ground_truth)
    if layouts.is_isic_cli(labels.columns):
        return _read_isic_cli(labels, leave_out_unmapped, metadata)
    return _read_official(labels, leave_out_unmapped, metadata)


def _read_official(labels: CsvFile, leave_out_unmapped: bool, metadata: Path | None) -> Tables:
    names = ImageNames(labels)
    records: list[dict[str, Any]] = []
    unknown = 0
    test_set = labels.columns == TEST_COLUMNS
    # A file that cannot be read has a problem already.
    readable = bool(labels.columns) and (test_set or require_columns(labels, GROUND_TRUTH_COLUMNS))
    if readable and not labels.rows:
        labels.add_problem(0, "has no rows.")
    for line, row in zip(labels.lines, labels.rows, strict=True) if readable else ():
        image = row["image"]
        named = names.take(image, line)
        diagnosis = _diagnosis(labels, line, row, leave_out_unknown=leave_out_unmapped)
        unknown += diagnosis == UNKNOWN_CODE
        if named and diagnosis and diagnosis != UNKNOWN_CODE:
            records.append({"image": image, "diagnosis": diagnosis, "line": line})
    if unknown and not records and not labels.problems:
        labels.add_problem(0, "has no row with one of the eight diagnoses.")
    problems = list(labels.problems)
    notes = names.notes()
    if unknown:
        notes["left_out"] = {UNKNOWN_CODE: unknown}
    if test_set:
        notes["test_set"] = True
        notes["unread_columns"] = list(TEST_COLUMNS[len(GROUND_TRUTH_COLUMNS) :])
    if metadata is not None:
        found = read_csv(metadata)
        # The official metadata of the test set names no lesions.
        without_lesions = test_set and found.columns == TEST_METADATA_COLUMNS
        by_image = _metadata(found, TEST_METADATA_COLUMNS if without_lesions else METADATA_COLUMNS)
        if by_image and readable:
            _join(records, by_image, found, labels.name)
            notes["metadata_rows_without_label"] = len(set(by_image) - names.ids)
        problems += found.problems
    return tables_of(records, problems, layout=ISIC2019, labels_file=labels.name, notes=notes)


def _read_isic_cli(labels: CsvFile, leave_out_unmapped: bool, metadata: Path | None) -> Tables:
    if metadata is not None:
        labels.add_problem(0, f"already holds the metadata; {metadata.name} does not belong to this layout.")
    if not layouts.has_diagnosis(labels.columns):
        labels.add_problem(1, f"has no column {layouts.DIAGNOSIS_LEVELS[1]} or {layouts.LEGACY_COLUMN}.")
        return tables_of([], labels.problems, layout=ISIC_CLI, labels_file=labels.name, notes={})
    if not labels.rows:
        labels.add_problem(0, "has no rows.")
    names = ImageNames(labels)
    records: list[dict[str, Any]] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("image_type", "image_manipulation", "licence")}
    left_out: Counter[str] = Counter()
    for line, row in zip(labels.lines, labels.rows, strict=True):
        image = row[layouts.ID_COLUMN]
        named = names.take(image, line)
        reason = left_out_for(row)
        if reason:
            left_out[reason] += 1
            continue
        diagnosis = layouts.diagnosis_of(row)
        if diagnosis is None:
            words = layouts.words_of(row) or "no diagnosis"
            if not leave_out_unmapped:
                labels.add_problem(line, f"{image} is {shown(words)}, none of the eight diagnoses.")
            left_out[words] += 1
            continue
        counts["image_type"][row.get("image_type", "") or NOT_STATED] += 1
        counts["image_manipulation"][row.get("image_manipulation", "") or NOT_STATED] += 1
        counts["licence"][row.get("copyright_license", "") or NOT_STATED] += 1
        checked = {
            "image_type": row.get("image_type") or DERMOSCOPIC,
            "age_approx": age_in(labels, line, row),
            "anatom_site_general": _isic_cli_site(labels, line, row),
            "sex": sex_in(labels, line, row),
            "lesion_id": id_in(labels, line, row, "lesion_id"),
            "patient_id": id_in(labels, line, row, "patient_id"),
            "details": {column: row[column] for column in _ISIC_CLI_DETAILS if row.get(column)},
        }
        if named:
            records.append({"image": image, "diagnosis": diagnosis.value, "line": line, **checked})
    if labels.rows and not records and not labels.problems:
        labels.add_problem(0, "has no row with one of the eight diagnoses and a kind of picture that is learned.")
    missing = missing_columns(labels, _ISIC_CLI_EXPECTED)
    if not {"anatom_site_general", ANATOM_SITE_LEVELS[0]} & set(labels.columns):
        missing.append(ANATOM_SITE_LEVELS[0])
    notes = {
        **names.notes(),
        "image_types": dict(counts["image_type"].most_common()),
        "licences": dict(counts["licence"].most_common()),
        "unread_columns": unread_columns(labels, _ISIC_CLI_READ),
        "missing_columns": missing,
    }
    if "image_manipulation" in labels.columns:
        notes["image_manipulation"] = dict(counts["image_manipulation"].most_common())
    if left_out:
        notes["left_out"] = dict(left_out.most_common())
    return tables_of(records, labels.problems, layout=ISIC_CLI, labels_file=labels.name, notes=notes)


def left_out_for(row: Mapping[str, str]) -> str | None:
    """Why a picture of the ISIC archive is not learned: its kind, or that a computer made it. None if it is learned.

    A table without the column image_type is from the time when the archive had dermoscopic pictures only.
    """
    if row.get("image_type", DERMOSCOPIC) not in IMAGE_TYPES:
        return f"image_type: {row['image_type'] or NOT_STATED}"
    manipulation = row.get("image_manipulation", "")
    return f"image_manipulation: {manipulation}" if manipulation not in _LEARNED_MANIPULATIONS else None


def _isic_cli_site(labels: CsvFile, line: int, row: Mapping[str, str]) -> str | None:
    general = general_site_in(labels, line, row)
    if general or row.get("anatom_site_general"):
        return general
    path = [row.get(level, "") for level in ANATOM_SITE_LEVELS]
    try:
        return site_of_path(path, row.get("anatom_site_special", ""))
    except KeyError:
        words = ": ".join(word for word in path if word)
        labels.add_problem(
            line, f"{ANATOM_SITE_LEVELS[0]} is {shown(words)}; expected a site of the ISIC archive, or nothing."
        )
        return None


def _diagnosis(labels: CsvFile, line: int, row: Mapping[str, str], *, leave_out_unknown: bool) -> str | None:
    """The diagnosis of one row of the ground truth, or UNK; None, and a problem, if it cannot be used."""
    code = one_hot(labels, line, row, name=row["image"], codes=(*CODES, UNKNOWN_CODE))
    if code == UNKNOWN_CODE and not leave_out_unknown:
        labels.add_problem(line, f"{row['image']} is labelled {UNKNOWN_CODE}; only the eight diagnoses can be learned.")
        return None
    return code


def _metadata(found: CsvFile, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The checked metadata by ISIC id; problems are added to `found`."""
    if not found.columns or not require_columns(found, columns):
        return {}
    if not found.rows:
        found.add_problem(0, "has no rows.")
    names = ImageNames(found)
    by_image = {}
    for line, row in zip(found.lines, found.rows, strict=True):
        named = names.take(row["image"], line)
        checked = {
            "age_approx": age_in(found, line, row),
            "anatom_site_general": general_site_in(found, line, row),
            "sex": sex_in(found, line, row),
            "lesion_id": id_in(found, line, row, "lesion_id"),
        }
        if named:
            by_image[isic_id(row["image"])] = checked
    return by_image


def _join(records: list[dict[str, Any]], by_image: Mapping[str, dict[str, Any]], found: CsvFile, labels: str) -> None:
    for record in records:
        more = by_image.get(isic_id(record["image"]))
        if more is None:
            found.add_problem(0, f"has no row for {record['image']} ({labels}, line {record['line']}).")
        else:
            record.update(more)


def tables_of(
    records: list[dict[str, Any]], problems: list[FileProblem], *, layout: str, labels_file: str, notes: dict[str, Any]
) -> Tables:
    """The tables of these rows. The notes get `absent_diagnoses`: those of the eight that no row has."""
    found = {record["diagnosis"] for record in records}
    absent = [code for code in CODES if code not in found]
    if records and absent:
        notes = {**notes, "absent_diagnoses": absent}
    return Tables(_frame(records), problems, layout, labels_file, notes)


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
