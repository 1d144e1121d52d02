"""Reading of MILK10k in its official layout: lesions that were photographed twice, through a dermatoscope and without.

The ground truth has one row per lesion and eleven classes, the metadata and the supplement one row per picture.
`diagnosis_full` of the supplement tells whether a lesion of the class AKIEC is AK or SCC, as ISIC 2019 labels them:
actinic keratosis, or squamous cell carcinoma in situ. The classes BEN_OTH, INF and MAL_OTH are none of the eight.

https://challenge.isic-archive.com/data/#milk10k (MILK study team, 2025)
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from recognition.datasets.checks import ImageNames, age_in, id_in, number_in, one_hot, sex_in, word_in
from recognition.datasets.csv_files import (
    CsvFile,
    missing_columns,
    need_columns,
    read_csv,
    require_columns,
    shown,
    unread_columns,
)
from recognition.datasets.layouts import AKIEC, MILK10K_CLASSES, MILK10K_COLUMNS
from recognition.datasets.sites import MILK10K_SITES
from recognition.datasets.tables import MILK10K, NOT_STATED, Tables, left_out_for, tables_of
from recognition.taxonomy import Diagnosis

_NEEDED: Final = ("lesion_id", "image_type", "isic_id")
_KNOWN: Final = ("copyright_license", "image_manipulation", "age_approx", "sex", "skin_tone_class", "site")
_SUPPLEMENT: Final = ("isic_id", "diagnosis_full")
_SUPPLEMENT_KNOWN: Final = ("diagnosis_confirm_type",)
_SKIN_TONES: Final = (0, 5)
_TORSO: Final = "trunk"
# What is said of the lesion or its patient must be the same for both pictures.
_SAME: Final = ("age_approx", "sex", "site", "skin_tone_class", "diagnosis_full")

_Row = tuple[int, dict[str, str]]


def read_milk10k(*, ground_truth: Path, metadata: Path, supplement: Path) -> Tables:
    """Read and check the three tables. Problems are returned, never raised.

    One row per picture, `lesion_id` as in the source, no patient. `line` is that of the lesion in the ground truth.
    `details` has, where they are stated, site, skin_tone_class (0 darkest to 5 lightest), image_manipulation,
    diagnosis_full and diagnosis_confirm_type.
    """
    labels, found, more = read_csv(ground_truth), read_csv(metadata), read_csv(supplement)
    classes = _classes(labels)
    supplements = _supplements(more)
    left_out: Counter[str] = Counter()
    records: list[dict[str, Any]] = []
    notes: dict[str, Any] = {}
    if found.columns and need_columns(found, _NEEDED):
        if not found.rows:
            found.add_problem(0, "has no rows.")
        by_lesion = _by_lesion(found, more, supplements)
        for lesion, (line, name) in classes.items():
            if lesion not in by_lesion and found.rows:
                found.add_problem(0, f"has no row for {lesion} ({labels.name}, line {line}).")
            for picture_line, row in by_lesion.get(lesion, []):
                reason = left_out_for(row)
                if reason:
                    left_out[reason] += 1
                    continue
                diagnosis = _diagnosis(more, supplements, name, row)
                if diagnosis is not None:
                    checked = _checked(found, picture_line, row)
                    records.append({"image": row["isic_id"], "diagnosis": diagnosis, "line": line, **checked})
        unlabelled = sum(len(rows) for lesion, rows in by_lesion.items() if lesion not in classes)
        notes = {**_notes(found, more, records), "metadata_rows_without_label": unlabelled}
        if left_out:
            notes["left_out"] = dict(left_out.most_common())
    problems = [*labels.problems, *found.problems, *more.problems]
    if classes and not records and not problems:
        found.add_problem(0, "has no picture of a kind that is learned.")
        problems += found.problems
    return tables_of(records, problems, layout=MILK10K, labels_file=labels.name, notes=notes)


def _classes(labels: CsvFile) -> dict[str, tuple[int, str]]:
    """Line and class of every lesion."""
    if not labels.columns or not require_columns(labels, MILK10K_COLUMNS):
        return {}
    if not labels.rows:
        labels.add_problem(0, "has no rows.")
    classes: dict[str, tuple[int, str]] = {}
    for line, row in zip(labels.lines, labels.rows, strict=True):
        lesion = row["lesion_id"]
        if not lesion:
            labels.add_problem(line, "has no lesion_id.")
            continue
        name = one_hot(labels, line, row, name=lesion, codes=tuple(MILK10K_CLASSES))
        if lesion in classes:
            labels.add_problem(line, f"{lesion} is there twice; the first time on line {classes[lesion][0]}.")
        elif name:
            classes[lesion] = (line, name)
    return classes


def _supplements(more: CsvFile) -> dict[str, _Row]:
    """Line and row of every picture in the supplement."""
    rows: dict[str, _Row] = {}
    if not more.columns or not need_columns(more, _SUPPLEMENT):
        return rows
    if not more.rows:
        more.add_problem(0, "has no rows.")
    names = ImageNames(more)
    for line, row in zip(more.lines, more.rows, strict=True):
        if names.take(row["isic_id"], line):
            rows[row["isic_id"]] = (line, row)
    return rows


def _by_lesion(found: CsvFile, more: CsvFile, supplements: Mapping[str, _Row]) -> dict[str, list[_Row]]:
    """The metadata of every lesion's pictures, joined with the supplement."""
    by_lesion: dict[str, list[_Row]] = {}
    names = ImageNames(found)
    for line, row in zip(found.lines, found.rows, strict=True):
        named = names.take(row["isic_id"], line)
        lesion = id_in(found, line, row, "lesion_id")
        if not lesion:
            found.add_problem(line, f"{row['isic_id']} has no lesion_id.")
        if not named or not lesion:
            continue
        if row["isic_id"] in supplements:
            joined = {**supplements[row["isic_id"]][1], **row}
        else:
            joined = row
            if supplements:
                more.add_problem(0, f"has no row for {row['isic_id']} ({found.name}, line {line}).")
        pictures = by_lesion.setdefault(lesion, [])
        if pictures:
            _require_same(found, pictures[0], (line, joined))
        pictures.append((line, joined))
    return by_lesion


def _require_same(found: CsvFile, first: _Row, second: _Row) -> None:
    for column in _SAME:
        one, other = first[1].get(column, ""), second[1].get(column, "")
        if one != other:
            reason = (
                f"{second[1]['isic_id']} and {first[1]['isic_id']} (line {first[0]}) show the same lesion "
                f"{first[1]['lesion_id']}, and {column} is {shown(other)} and {shown(one)}."
            )
            found.add_problem(second[0], reason)


def _diagnosis(more: CsvFile, supplements: Mapping[str, _Row], name: str, row: Mapping[str, str]) -> str | None:
    """The diagnosis of a picture, "" for none of the eight; None, and a problem, where AKIEC is not told apart."""
    if name != AKIEC:
        diagnosis = MILK10K_CLASSES[name]
        return diagnosis.value if diagnosis else ""
    if row["isic_id"] not in supplements:
        return None  # a problem already
    line, said = supplements[row["isic_id"]]
    words = said["diagnosis_full"].lower()
    if words.startswith("squamous cell carcinoma in situ"):
        return Diagnosis.SCC.value
    if words.endswith("actinic keratosis"):
        return Diagnosis.AK.value
    more.add_problem(
        line,
        f"{row['isic_id']} is of the class {AKIEC}, and diagnosis_full is {shown(said['diagnosis_full'])}; expected "
        "solar or actinic keratosis, or squamous cell carcinoma in situ.",
    )
    return None


def _checked(found: CsvFile, line: int, row: Mapping[str, str]) -> dict[str, Any]:
    site = word_in(found, line, row, "site", known=MILK10K_SITES, meant=f"one of {', '.join(MILK10K_SITES)}")
    tone = number_in(found, line, row, "skin_tone_class", limits=_SKIN_TONES)
    words = ("image_manipulation", "diagnosis_full", "diagnosis_confirm_type")
    details: dict[str, Any] = {column: row[column] for column in words if row.get(column)}
    if site:
        details["site"] = site
    if tone is not None:
        details["skin_tone_class"] = int(tone)
    return {
        "image_type": row["image_type"],
        "age_approx": age_in(found, line, row),
        "anatom_site_general": MILK10K_SITES[site] if site else None,
        "lesion_id": row["lesion_id"],
        "sex": sex_in(found, line, row),
        "details": details,
    }


def _notes(found: CsvFile, more: CsvFile, records: list[dict[str, Any]]) -> dict[str, Any]:
    details = [record["details"] for record in records]
    licences = [row.get("copyright_license") or NOT_STATED for row in found.rows]
    return {
        "image_types": _counted(record["image_type"] for record in records),
        "licences": _counted(licences),
        "image_manipulation": _counted(each.get("image_manipulation", NOT_STATED) for each in details),
        "unread_columns": [
            *unread_columns(found, (*_NEEDED, *_KNOWN)),
            *unread_columns(more, (*_SUPPLEMENT, *_SUPPLEMENT_KNOWN)),
        ],
        "missing_columns": [*missing_columns(found, _KNOWN), *missing_columns(more, _SUPPLEMENT_KNOWN)],
        "none_of_the_eight": sum(not record["diagnosis"] for record in records),
        "torso_of_unknown_side": sum(each.get("site") == _TORSO for each in details),
    }


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())
