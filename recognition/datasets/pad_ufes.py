"""Reading of PAD-UFES-20 in its own columns: smartphone photos of one clinic, and what the patients answered.

The table can have rows without a photo. `img_id` ends in .png, whatever the type of the file, so an image is named
without its suffix here, as everywhere.

Pacheco and others 2020, https://data.mendeley.com/datasets/zr7vgbcyr2/1, CC BY 4.0.
"""

from pathlib import Path, PurePosixPath
from typing import Any, Final

from recognition.datasets.checks import ImageNames, age_in, id_in, number_in, word_in
from recognition.datasets.csv_files import CsvFile, missing_columns, need_columns, read_csv, shown, unread_columns
from recognition.datasets.layouts import PAD_UFES_DIAGNOSES
from recognition.datasets.pictures import is_picture
from recognition.datasets.sites import PAD_UFES_REGIONS
from recognition.datasets.tables import PAD_UFES, Tables, tables_of
from recognition.inference.metadata import ANSWERS
from recognition.taxonomy import CLOSE_UP

LICENCE: Final = "CC-BY"
ANSWER_WORDS: Final = ("True", "False", "UNK")

_NEEDED: Final = ("patient_id", "lesion_id", "img_id", "diagnostic")
_NUMBERS: Final = {"fitspatrick": (1, 6), "diameter_1": (0, 1000), "diameter_2": (0, 1000)}
_KNOWN: Final = ("age", "gender", "region", *_NUMBERS, *ANSWERS, "biopsed")
_SEXES: Final = {"MALE": "male", "FEMALE": "female"}
# A spreadsheet writes TRUE for True.
_ANSWER_OF: Final = {word.upper(): word for word in ANSWER_WORDS}


def read_pad_ufes(*, metadata: Path) -> Tables:
    """Read and check the table. Problems are returned, never raised.

    One row per photo, whether or not its file is there. `lesion_id` holds the patient too (PAT_46_881), because the
    source counts lesions within a patient. `details` has, where they are stated, region, fitspatrick (1 to 6),
    diameter_1 and diameter_2 (mm), biopsed and the answers of `ANSWERS`, each True, False or UNK, as words.
    A row that is there twice counts once.
    """
    found = read_csv(metadata)
    records: list[dict[str, Any]] = []
    notes: dict[str, Any] = {}
    if found.columns and need_columns(found, _NEEDED):
        if not found.rows:
            found.add_problem(0, "has no rows.")
        repeated = _read_rows(found, records)
        notes = {
            "image_types": {CLOSE_UP: len(records)},
            "licences": {LICENCE: len(records)},
            "unread_columns": unread_columns(found, (*_NEEDED, *_KNOWN)),
            "missing_columns": missing_columns(found, _KNOWN),
            "repeated_rows": repeated,
        }
    return tables_of(records, found.problems, layout=PAD_UFES, labels_file=found.name, notes=notes)


def _read_rows(found: CsvFile, records: list[dict[str, Any]]) -> int:
    """Fill `records`; returns how many rows were there before."""
    names = ImageNames(found)
    seen: dict[str, dict[str, str]] = {}
    repeated = 0
    for line, row in zip(found.lines, found.rows, strict=True):
        image = image_of(row["img_id"])
        if image and seen.setdefault(image, row) is not row and seen[image] == row:
            repeated += 1
            continue
        named = names.take(image, line)
        diagnosis = PAD_UFES_DIAGNOSES.get(row["diagnostic"].upper())
        if diagnosis is None:
            found.add_problem(
                line, f"{image}: diagnostic is {shown(row['diagnostic'])}; expected {', '.join(PAD_UFES_DIAGNOSES)}."
            )
        patient, lesion = id_in(found, line, row, "patient_id"), _lesion(found, line, row)
        checked = _checked(found, line, row)
        if named and diagnosis:
            records.append(
                {
                    "image": image,
                    "diagnosis": diagnosis.value,
                    "image_type": CLOSE_UP,
                    "patient_id": patient,
                    "lesion_id": lesion,
                    "line": line,
                    **checked,
                }
            )
    return repeated


def image_of(img_id: str) -> str:
    """The name of an image: `img_id` without the suffix of a picture."""
    return img_id.removesuffix(PurePosixPath(img_id).suffix) if is_picture(img_id) else img_id


def _lesion(found: CsvFile, line: int, row: dict[str, str]) -> str | None:
    if not row["patient_id"]:
        found.add_problem(line, "has no patient_id; without it a patient could be on both sides of a split.")
        return None
    if not row["lesion_id"]:
        return None
    return id_in(found, line, {"lesion_id": f"{row['patient_id']}_{row['lesion_id']}"}, "lesion_id")


def _checked(found: CsvFile, line: int, row: dict[str, str]) -> dict[str, Any]:
    regions = ", ".join(PAD_UFES_REGIONS)
    region = word_in(found, line, row, "region", known=PAD_UFES_REGIONS, meant=f"one of {regions}")
    gender = word_in(found, line, row, "gender", known=_SEXES, meant="MALE or FEMALE")
    details: dict[str, Any] = {}
    if region:
        details["region"] = region
    for column, limits in _NUMBERS.items():
        value = number_in(found, line, row, column, limits=limits)
        if value is not None:
            details[column] = int(value) if column == "fitspatrick" else value
    for column in (*ANSWERS, "biopsed"):
        said = row.get(column, "")
        if said.upper() in _ANSWER_OF:
            details[column] = _ANSWER_OF[said.upper()]
        elif said:
            found.add_problem(line, f"{column} is {shown(said)}; expected True, False or UNK, or nothing.")
    return {
        "age_approx": age_in(found, line, row, "age"),
        "anatom_site_general": PAD_UFES_REGIONS[region] if region else None,
        "sex": _SEXES[gender] if gender else None,
        "details": details,
    }
