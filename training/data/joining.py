"""Joins data sets into one: its examples use the archives of the parts, so no picture is copied.

`recognition.datasets.joining` says which lesions go where and which are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from accounts.models import User
from diagnoses.photos.models import Photo
from recognition.datasets.joined import write_joined
from recognition.datasets.joining import join_tables, read_left_out, read_links
from recognition.datasets.pictures import BROKEN_ARCHIVE
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.splits import dealt_split
from recognition.progress import Progress, Report, silent
from training.data import sealing
from training.data.archive import DatasetPictures
from training.data.import_errors import DatasetImportError, error_of
from training.data.importing import use_pictures
from training.data.versions import rows_of, still_allowed
from training.models import Dataset
from training.services.datasets import NewDataset
from training.services.orphans import discard_unused, shell_folder

LAYOUT: Final = "joined"
_LICENCE_LENGTH: Final = 200


def join_datasets(
    *,
    name: str,
    parts: Sequence[Dataset],
    same_lesion: Path | None = None,
    leave_out: Path | None = None,
    by: User | None = None,
    output: Path | None = None,
    report: Report = silent,
) -> Dataset:
    """Join and seal in the foreground; `output` is a folder that then gets a copy of the whole data set.

    `same_lesion` is a CSV file with two columns of lesion ids, `leave_out` one with a column lesion_id. Raises
    NotAllowed, and DatasetImportError.
    """
    folder = shell_folder()
    try:
        new = prepare_joined(
            name=name, parts=parts, same_lesion=same_lesion, leave_out=leave_out, folder=folder, report=report
        )
        dataset = sealing.write(new, by=by)
    except BaseException:
        discard_unused(folder)
        raise
    use_pictures(dataset)
    if output is not None:
        write_output(dataset, output, report=report)
    return dataset


def prepare_joined(
    *,
    name: str,
    parts: Sequence[Dataset],
    same_lesion: Path | None = None,
    leave_out: Path | None = None,
    folder: str,
    report: Report,
) -> NewDataset:
    """Prepare the joined data set without writing rows; its charts go into `folder`. Raises DatasetImportError."""
    sealing.refuse_taken(name)
    if len({part.pk for part in parts}) < max(2, len(parts)):
        raise DatasetImportError("nothing_to_join", "Name at least two data sets to join, each of them once.")
    report(Progress("tables", 0, 1))
    links, asked = _read_files(same_lesion, leave_out)
    withdrawn: dict[str, int] = {}
    tables = {part.name: _table_of(part, withdrawn) for part in parts}
    report(Progress("tables", 1, 1))
    report(Progress("joining", 0, 1))
    joined = join_tables(tables, links=links, leave_out=asked)
    report(Progress("joining", 1, 1))
    if joined.rows.empty:
        raise DatasetImportError("nothing_to_join", "Every lesion of these data sets is left out. Nothing was joined.")
    seed = parts[0].split_seed or 0
    dealt = {image: split for image, split in zip(joined.rows["image"], joined.rows["split"], strict=True) if split}
    return sealing.seal(
        joined.rows.assign(patient_id=joined.rows["own_patient"]).drop(columns=["split", "own_patient"]),
        name=name,
        folder=folder,
        report_so_far={
            "sources": {
                "same_lesion": same_lesion.name if same_lesion else "",
                "leave_out": leave_out.name if leave_out else "",
            },
            "layout": LAYOUT,
            "notes": {},
            "joined": {
                "parts": [
                    {"id": part.pk, "name": part.name, "images": part.example_count, "fingerprint": part.fingerprint}
                    for part in parts
                ],
                "withdrawn": sum(withdrawn.values()),
                **joined.report,
            },
        },
        report=report,
        seed=seed,
        split=dealt_split(dealt, seed=seed),
        parts=parts,
        licence="; ".join(dict.fromkeys(part.licence for part in parts if part.licence))[:_LICENCE_LENGTH],
    )


def write_output(dataset: Dataset, folder: Path, *, report: Report = silent) -> None:
    """Copy a data set into a folder that training reads without the database. Raises DatasetImportError.

    Patients' photos are not copied: they stay on the storage, where a withdrawal of consent reaches them.
    """
    table = rows_of(dataset)
    table = table[table["photo"].isna()].reset_index(drop=True)
    try:
        with DatasetPictures(dataset) as pictures:
            seed = dataset.split_seed or 0
            write_joined(folder, table, pictures.content, name=dataset.name, seed=seed, report=report)
    except (*BROKEN_ARCHIVE, ExamplesError) as error:
        raise DatasetImportError(
            "storage_failed", f"{dataset.name} was joined, but {folder} could not be written: {error}."
        ) from error


def outcome_line(dataset: Dataset) -> str:
    """One line about a joined data set: lesions joined, and leakage before and after."""
    joined = dataset.report["joined"]
    leakage = joined["leakage"]
    return f"joined {joined['lesions']} lesions; leakage before {leakage['before']}, after {leakage['after']}"


def _read_files(same_lesion: Path | None, leave_out: Path | None) -> tuple[list[tuple[str, str]], list[str]]:
    problems: list[FileProblem] = []
    links: list[tuple[str, str]] = []
    asked: list[str] = []
    try:
        links = [] if same_lesion is None else read_links(same_lesion)
    except ExamplesError as error:
        problems += error.problems
    try:
        asked = [] if leave_out is None else read_left_out(leave_out)
    except ExamplesError as error:
        problems += error.problems
    if problems:
        raise error_of(problems)
    return links, asked


def _table_of(part: Dataset, withdrawn: dict[str, int]) -> pd.DataFrame:
    """The rows of a part that may be used. `patient_id` also tells the owners of photos apart; it is not kept."""
    before = rows_of(part)
    table = still_allowed(before)
    withdrawn[part.name] = len(before) - len(table)
    photos = [photo for photo in table["photo"] if photo is not None]
    owner = dict(Photo.objects.filter(pk__in=photos).values_list("pk", "owner_id"))
    return table.assign(
        own_patient=table["patient_id"],
        patient_id=pd.Series(
            [
                patient if photo is None else f"owner {owner[photo]}"
                for patient, photo in zip(table["patient_id"], table["photo"], strict=True)
            ],
            index=table.index,
            dtype=object,
        ),
    )
