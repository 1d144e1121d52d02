"""The import itself: from files to a sealed data set. Commands call it here, `training.worker.importing` as a job.

An import is complete or leaves nothing. The images are collected in a temporary zip and everything is checked. The zip
and the charts go to the storage, into a folder of this attempt. Then all rows are written in one transaction; for a
job it is the transaction that ends the job. A failure before that leaves no row, and the folder is deleted: at once, or
by the sweep if the worker was killed.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from django.conf import settings

from accounts.models import User
from diagnoses.photos.known_images import recognise_photos
from recognition.datasets.milk10k import read_milk10k
from recognition.datasets.pad_ufes import read_pad_ufes
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.tables import ISIC2019, MILK10K, PAD_UFES, Tables, read_tables
from recognition.progress import Progress, Report, silent
from recognition.taxonomy import CODES
from training.data import sealing
from training.data.archive import ArchiveWriter
from training.data.import_errors import DatasetImportError, error_of, writing
from training.data.inspection import inspect_pictures
from training.data.references import keep_reference_pictures
from training.models import Dataset
from training.services.datasets import NewDataset
from training.services.orphans import discard_unused, shell_folder

DEFAULT_SEED: Final = 2019
_LICENCES: Final = {
    MILK10K: "MILK10k: CC BY-NC 4.0 (non-commercial, with citation)",
    PAD_UFES: "PAD-UFES-20: CC BY 4.0 (with citation)",
}
_ABANDONED_AFTER: Final = 24 * 3600  # seconds; a work folder that is older belongs to a killed worker
_PICTURES_NEED: Final = 1.02  # size of the archive, in sizes of its pictures: names and directory are added


@dataclass(frozen=True, slots=True)
class ImportSource:
    """The files of an import, on this machine, and how they are read.

    `ground_truth` is the table with the diagnoses: of PAD-UFES-20 and isic-cli it is the only one. `layout` chooses
    the reader; between ISIC2019 and ISIC_CLI the header decides.
    """

    ground_truth: Path
    metadata: Path | None = None
    images: Path | None = None
    supplement: Path | None = None
    layout: str = ISIC2019
    leave_out_unmapped: bool = False
    near_together: bool = True


def import_dataset(
    *, name: str, source: ImportSource, seed: int = DEFAULT_SEED, by: User | None = None, report: Report = silent
) -> Dataset:
    """Import in the foreground, as the command does. Raises DatasetImportError, and whatever `report` raises."""
    folder = shell_folder()
    try:
        with workspace() as work:
            new = prepare(name=name, source=source, seed=seed, folder=folder, work=work, report=report)
        report(Progress("rows", 0, 1))
        dataset = sealing.write(new, by=by)
    except BaseException:
        discard_unused(folder)
        raise
    report(Progress("rows", 1, 1))
    use_pictures(dataset)
    return dataset


def use_pictures(dataset: Dataset) -> None:
    """Call after a data set is sealed: recognises photos that show its images, and keeps reference pictures."""
    recognise_photos()
    keep_reference_pictures(dataset)


def prepare(*, name: str, source: ImportSource, seed: int, folder: str, work: Path, report: Report) -> NewDataset:
    """Prepare a data set without writing rows; files go into `folder` on the storage. Raises DatasetImportError."""
    sealing.refuse_taken(name)
    started = time.monotonic()
    report(Progress("tables", 0, 1))
    tables = _read(source)
    report(Progress("tables", 1, 1))
    notes = dict(tables.notes)
    archive_file = None
    if source.images is None:
        if tables.problems:
            raise error_of(tables.problems)
        table = tables.rows.assign(sha256="", content_hash=None, width=None, height=None, member="")
    else:
        archive_file = work / "archive.zip"
        table = _with_pictures(tables, source.images, archive_file, notes, report)
    table = table.assign(archive_id=None, photo=None)
    sealing.check_labels(table, labels_file=tables.labels_file)
    return sealing.seal(
        table,
        name=name,
        folder=folder,
        report_so_far={
            "sources": {
                "ground_truth": source.ground_truth.name,
                "metadata": source.metadata.name if source.metadata else "",
                "supplement": source.supplement.name if source.supplement else "",
                "images": source.images.name if source.images else "",
            },
            "layout": tables.layout,
            "notes": notes,
            "seconds_reading": round(time.monotonic() - started, 1),
        },
        report=report,
        seed=seed,
        archive_file=archive_file,
        licence=_LICENCES.get(tables.layout) or sealing.licence_of(notes),
        near_together=source.near_together,
        test_only=bool(notes.get("test_set")),
    )


def _read(source: ImportSource) -> Tables:
    if source.layout == PAD_UFES:
        return read_pad_ufes(metadata=source.ground_truth)
    if source.layout == MILK10K:
        # The form and the command ask for both.
        assert source.metadata is not None
        assert source.supplement is not None
        return read_milk10k(ground_truth=source.ground_truth, metadata=source.metadata, supplement=source.supplement)
    return read_tables(
        ground_truth=source.ground_truth,
        metadata=source.metadata,
        leave_out_unmapped=source.leave_out_unmapped,
    )


def _with_pictures(
    tables: Tables, images: Path, archive_file: Path, notes: dict[str, Any], report: Report
) -> pd.DataFrame:
    """The rows of `tables` with hashes and sizes of their pictures. Raises DatasetImportError with all problems."""
    problems = list(tables.problems)
    try:
        store = PictureStore(images)
    except ExamplesError as error:
        raise error_of([*problems, *error.problems]) from error
    rows = tables.rows
    with store as pictures:
        if tables.layout == PAD_UFES:
            rows = _with_photo(tables, pictures, notes, problems)
        wanted = list(zip(rows["image"], rows["line"].astype(int), strict=True))
        _require_room(sum(pictures.size_of(image) for image, _ in wanted if image in pictures), archive_file.parent)
        with ArchiveWriter(archive_file) as archive:
            seen = inspect_pictures(wanted, pictures, labels_file=tables.labels_file, archive=archive, report=report)
        notes["pictures_without_row"] = len(pictures) - sum(image in pictures for image, _ in wanted)
    problems += seen.problems
    if problems:
        raise error_of(problems)
    return rows.assign(
        sha256=seen.sha256,
        content_hash=seen.content_hash,
        width=seen.width,
        height=seen.height,
        member=seen.member,
    )


def _with_photo(
    tables: Tables, pictures: PictureStore, notes: dict[str, Any], problems: list[FileProblem]
) -> pd.DataFrame:
    """The rows of PAD-UFES-20 that have a photo; the others are counted. With none there is a problem."""
    there = tables.rows["image"].map(lambda image: image in pictures).astype(bool)
    missing = int((~there).sum())
    if missing:
        notes["left_out"] = {**notes.get("left_out", {}), "no photo": missing}
    if len(there) and not there.any():
        reason = f"has no row whose photo is in {pictures.place.name}; photos are found by img_id."
        problems.append(FileProblem(tables.labels_file, 0, reason))
    rows = tables.rows[there].reset_index(drop=True)
    notes["image_types"] = {str(kind): int(number) for kind, number in rows["image_type"].value_counts().items()}
    notes["absent_diagnoses"] = [code for code in CODES if code not in set(rows["diagnosis"])]
    return rows


def _require_room(size: int, folder: Path) -> None:
    """Raise DatasetImportError before the work if the images would fill the disk."""
    free = shutil.disk_usage(folder).free
    if size * _PICTURES_NEED > free:
        raise DatasetImportError(
            "disk_full",
            f"The images need {size / 1e9:.1f} GB of working space, and {free / 1e9:.1f} GB are free. "
            "Nothing was imported; make room and import again.",
        )


@contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder for one import. Old folders of killed workers are deleted."""
    root = Path(settings.TRAINING_WORK_DIR) / "imports"
    with writing("temporary files"):
        root.mkdir(parents=True, exist_ok=True)
        for old in root.iterdir():
            if old.is_dir() and time.time() - old.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
