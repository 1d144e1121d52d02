"""The folder of a joined data set, which `manage.py join_datasets --output` writes and training reads.

It holds `examples.csv` (one row per picture with labels, metadata, split and SHA-256), `pictures.zip`, and
`dataset.json` with name and fingerprint, which is written last: a folder without it is not whole.
"""

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import pandas as pd

from recognition.datasets.csv_files import read_csv, require_columns, shown
from recognition.datasets.examples import COLUMNS, Examples, examples_fingerprint, hashes
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.splits import SPLITS, TRAIN, Split, dealt_split
from recognition.progress import Progress, Report, silent

TABLE: Final = "examples.csv"
PICTURES: Final = "pictures.zip"
ABOUT: Final = "dataset.json"

# In the order of folders that were written before `details` was among COLUMNS.
_TABLE_COLUMNS: Final = (*(name for name in COLUMNS if name != "details"), "split", "details")
_MAY_BE_MISSING: Final = ("anatom_site_general", "lesion_id", "patient_id", "sex")
# The earliest time a zip can hold: the same pictures always make the same file.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class JoinedData(NamedTuple):
    """What training reads from the folder. `pictures` is a context manager and must be closed."""

    examples: Examples
    split: Split
    pictures: PictureStore


def is_joined(folder: Path) -> bool:
    """Whether `folder` is one that `write_joined` finished."""
    return (folder / ABOUT).is_file()


def write_joined(
    folder: Path,
    table: pd.DataFrame,
    copy_picture: Callable[[str], bytes],
    *,
    name: str,
    seed: int,
    report: Report = silent,
) -> None:
    """Write a data set into `folder`, which is made if it is not there; what it held before is replaced.

    `table` has the columns `COLUMNS`, split, details and member (the name of the picture file; "" without a picture).
    `copy_picture` gives the bytes of an image. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    table = table.sort_values("image", kind="stable")
    with zipfile.ZipFile(folder / PICTURES, "w", compression=zipfile.ZIP_STORED) as archive:
        for done, (image, member) in enumerate(zip(table["image"], table["member"], strict=True), start=1):
            if member:
                suffix = PurePosixPath(member).suffix.lower()
                archive.writestr(zipfile.ZipInfo(f"{image}{suffix}", _EPOCH), copy_picture(image))
            if done % 100 == 0 or done == len(table):
                report(Progress("output", done, len(table)))
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_TABLE_COLUMNS)
        for row in table[list(_TABLE_COLUMNS)].to_dict("records"):
            writer.writerow([_cell(row[column]) for column in _TABLE_COLUMNS])
    about = {"name": name, "seed": seed, "fingerprint": examples_fingerprint(table)}
    part = folder / f"{ABOUT}.part"
    part.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    part.replace(folder / ABOUT)


def read_joined(folder: Path, *, report: Report = silent) -> JoinedData:
    """Read and check the folder: the table, and every picture by its SHA-256.

    Rows of none of the eight are not among the examples; those without a picture are `Examples.further` if they may be
    learned. Raises ExamplesError with every problem found.
    """
    about = _about(folder)
    table = _table(folder)
    if examples_fingerprint(table) != about["fingerprint"]:
        raise ExamplesError([FileProblem(TABLE, 0, f"is not the table that {ABOUT} names. Write the folder again.")])
    pictured = table["sha256"] != ""
    learned = table[(table["diagnosis"] != "") & pictured].reset_index(drop=True)
    further = table[(table["diagnosis"] != "") & (table["split"] == TRAIN) & ~pictured].reset_index(drop=True)
    split = dealt_split(dict(zip(learned["image"], learned["split"], strict=True)), seed=about["seed"])
    empty = [name for name in SPLITS if not split.images(name)]
    if empty:
        raise ExamplesError([FileProblem(TABLE, 0, f"has no picture in its {empty[0]} split; join more data sets.")])
    pictures = PictureStore(folder / PICTURES)
    try:
        _check_pictures(learned, pictures, report)
    except BaseException:
        pictures.close()
        raise
    examples = Examples(about["name"], learned[list(COLUMNS)], about["fingerprint"], further[list(COLUMNS)])
    return JoinedData(examples, split, pictures)


def _check_pictures(table: pd.DataFrame, pictures: PictureStore, report: Report) -> None:
    missing = [image for image in table["image"] if image not in pictures]
    if missing:
        raise ExamplesError([FileProblem(PICTURES, 0, f"does not hold the picture {image}.") for image in missing])
    found = hashes(table["image"].tolist(), pictures, report)
    changed = [
        image for image, stated, digest in zip(table["image"], table["sha256"], found, strict=True) if stated != digest
    ]
    if changed:
        reason = "is not the file whose SHA-256 the table states. Write the folder again."
        raise ExamplesError([FileProblem(PICTURES, 0, f"{image} {reason}") for image in changed])


def _about(folder: Path) -> dict[str, Any]:
    problem = "cannot be read. Write the folder again with join_datasets --output."
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return {"name": str(about["name"]), "seed": int(about["seed"]), "fingerprint": str(about["fingerprint"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExamplesError([FileProblem(ABOUT, 0, problem)]) from error


def _table(folder: Path) -> pd.DataFrame:
    found = read_csv(folder / TABLE)
    if not found.problems:
        require_columns(found, _TABLE_COLUMNS)
    rows = []
    for line, row in zip(found.lines, found.rows, strict=True) if not found.problems else ():
        if row["split"] not in (SPLITS if row["diagnosis"] else ("",)):
            found.add_problem(line, f"split is {shown(row['split'])}; expected one of {', '.join(SPLITS)}.")
        try:
            age = float(row["age_approx"]) if row["age_approx"] else float("nan")
        except ValueError:
            found.add_problem(line, f"age_approx is {shown(row['age_approx'])}; expected a number, or nothing.")
            continue
        details = _details(row["details"])
        if details is None:
            found.add_problem(line, f"details are {shown(row['details'])}; expected a JSON object, or nothing.")
            continue
        missing = {name: row[name] or None for name in _MAY_BE_MISSING}
        rows.append({**row, "age_approx": age, "details": details, **missing})
    if found.problems:
        raise ExamplesError(found.problems)
    table = pd.DataFrame.from_records(rows, columns=list(_TABLE_COLUMNS)).sort_values("image").reset_index(drop=True)
    for name in _MAY_BE_MISSING:
        words = table[name].astype(object)
        table[name] = words.where(words.notna(), None)
    return table


def _details(cell: str) -> dict[str, Any] | None:
    """Inverse of `_cell` for the details; None if it is no JSON object."""
    try:
        details = json.loads(cell or "{}")
    except ValueError:
        return None
    return details if isinstance(details, dict) else None


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    return "" if value is None or pd.isna(value) else str(value)
