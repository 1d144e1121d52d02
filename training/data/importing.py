"""The import itself: from files to a sealed data set. Commands call it here, `training.worker.importing` as a job.

Nothing half imported: the images are gathered in a temporary zip, everything is checked, the zip and the charts go to
the storage under a folder of this attempt's own, and all rows are written in one transaction (for a job, the same one
that ends it). Whatever happens before that leaves no row, and the folder is thrown away: at once, or by the sweep
where the worker was killed.
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
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError
from recognition.datasets.tables import Tables, read_tables
from recognition.progress import Progress, Report, silent
from training.data import sealing
from training.data.archive import ArchiveWriter
from training.data.import_errors import DatasetImportError, faulty, writing
from training.data.inspection import inspect_pictures
from training.data.references import keep_reference_pictures
from training.models import Dataset
from training.services.datasets import NewDataset
from training.services.orphans import discard_unused, shell_folder

DEFAULT_SEED: Final = 2019
_ABANDONED_AFTER: Final = 24 * 3600  # seconds; older folders of work belong to a worker that was killed
_PICTURES_NEED: Final = 1.02  # the archive beside the pictures it holds: names and central directory


@dataclass(frozen=True, slots=True)
class Source:
    """The files of an import, all of them on this machine."""

    ground_truth: Path
    metadata: Path | None = None
    images: Path | None = None
    leave_out_unmapped: bool = False
    near_together: bool = True


def import_dataset(
    *, name: str, source: Source, seed: int = DEFAULT_SEED, by: User | None = None, report: Report = silent
) -> Dataset:
    """Import in the foreground, as the command does. Raises DatasetImportError, and what `report` raises to stop."""
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
    """After a data set is sealed: photos that show its images are recognised, and reference pictures are kept."""
    recognise_photos()
    keep_reference_pictures(dataset)


def prepare(*, name: str, source: Source, seed: int, folder: str, work: Path, report: Report) -> NewDataset:
    """Everything of a data set but its rows; files go into `folder` on the storage. Raises DatasetImportError."""
    sealing.refuse_taken(name)
    started = time.monotonic()
    report(Progress("tables", 0, 1))
    tables = read_tables(
        ground_truth=source.ground_truth,
        metadata=source.metadata,
        leave_out_unmapped=source.leave_out_unmapped,
    )
    report(Progress("tables", 1, 1))
    notes = dict(tables.notes)
    archive_file = None
    if source.images is None:
        if tables.problems:
            raise faulty(tables.problems)
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
                "images": source.images.name if source.images else "",
            },
            "layout": tables.layout,
            "notes": notes,
            "seconds_reading": round(time.monotonic() - started, 1),
        },
        report=report,
        seed=seed,
        archive_file=archive_file,
        licence=sealing.licence_of(notes),
        near_together=source.near_together,
    )


def _with_pictures(
    tables: Tables, images: Path, archive_file: Path, notes: dict[str, Any], report: Report
) -> pd.DataFrame:
    """The rows of `tables` with what was seen of their pictures. Raises DatasetImportError with all faults of both."""
    faults = list(tables.problems)
    try:
        store = PictureStore(images)
    except ExamplesError as error:
        raise faulty([*faults, *error.problems]) from error
    wanted = list(zip(tables.rows["image"], tables.rows["line"].astype(int), strict=True))
    with store as pictures:
        _require_room(sum(pictures.size_of(image) for image, _ in wanted if image in pictures), archive_file.parent)
        with ArchiveWriter(archive_file) as archive:
            seen = inspect_pictures(wanted, pictures, labels_file=tables.labels_file, archive=archive, report=report)
        notes["pictures_without_row"] = len(pictures) - sum(image in pictures for image, _ in wanted)
    faults += seen.problems
    if faults:
        raise faulty(faults)
    return tables.rows.assign(
        sha256=seen.sha256,
        content_hash=seen.content_hash,
        width=seen.width,
        height=seen.height,
        member=seen.member,
    )


def _require_room(size: int, folder: Path) -> None:
    """Refuse at once what would fill the disk after minutes of work."""
    free = shutil.disk_usage(folder).free
    if size * _PICTURES_NEED > free:
        raise DatasetImportError(
            "disk_full",
            f"The images need {size / 1e9:.1f} GB of working space, and {free / 1e9:.1f} GB are free. "
            "Nothing was imported; make room and import again.",
        )


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder of one's own for the length of an import; what a killed worker left behind is swept out."""
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
