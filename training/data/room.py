"""Own the import itself: from files to a sealed data set, in a command's foreground or as a job of the training worker.

Nothing half imported: the images are gathered in a temporary zip, everything is checked, the zip and the charts go to
the storage under a folder of this attempt's own, and all rows are written in one transaction (for a job, the same one
that ends it). Whatever happens before that leaves no row, and the folder is thrown away: at once, or by the sweep
where the worker was killed.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import IntegrityError

from accounts.models import User
from diagnoses.datasets.pictures import PictureStore
from diagnoses.datasets.problems import ExamplesError
from diagnoses.datasets.tables import Tables, read_tables
from diagnoses.services.known_images import recognise_photos
from training.data import sealing
from training.data.archive import ArchiveWriter
from training.data.inspection import inspect_pictures
from training.data.references import keep_reference_pictures
from training.data.refusals import ImportRefused, faulty, writing
from training.models import Dataset, DatasetImport, Job
from training.pipeline.progress import Progress, Report, silent
from training.services import jobs
from training.services.datasets import NewDataset, seal_dataset
from training.services.imports import UPLOAD, open_upload, resolve_source
from training.services.leftovers import discard_unused, job_folder, shell_folder

logger = logging.getLogger(__name__)

DEFAULT_SEED: Final = 2019
FAULTS_KEPT: Final = 2000
"""A file that is wrong from top to bottom has a fault in every row; so many are kept to be looked at."""
HEARTBEAT_EVERY: Final = 1.0  # seconds; the page asks as often
_ABANDONED_AFTER: Final = 24 * 3600  # seconds; older folders of work belong to a worker that was killed
_CHUNK: Final = 1024 * 1024
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
    """Import in the foreground, as the command does. Raises ImportRefused, and whatever `report` raises to stop."""
    folder = shell_folder()
    try:
        with _workspace() as work:
            new = _prepare(name=name, source=source, seed=seed, folder=folder, work=work, report=report)
        report(Progress("rows", 0, 1))
        try:
            dataset = seal_dataset(new, by=by)
        except IntegrityError:
            sealing.refuse_taken(name)
            raise
    except BaseException:
        discard_unused(folder)
        raise
    report(Progress("rows", 1, 1))
    recognise_photos()
    keep_reference_pictures(dataset)
    return dataset


def run_import_job(pk: Any) -> None:
    """Do the queued import `pk`, whose message has come; a message with nothing to say changes nothing.

    An expected end (faults, a full disk, cancelled) is recorded and that is all; a surprise is recorded and raised.
    """
    claim = jobs.claim(DatasetImport, pk)
    if claim is None:
        return
    job = DatasetImport.objects.get(pk=pk)
    folder = job_folder(job, claim.lease)
    report = JobReport(claim)
    kept = False
    try:
        sealing.refuse_taken(job.name)
        with _workspace() as work:
            new = _prepare_job(job, folder=folder, work=work, report=report)
        report.now(Progress("rows", 0, 1))
        kept = jobs.finish(claim, Job.Status.SUCCEEDED, and_then=lambda locked: _seal(locked, new))
    except jobs.LeaseLost:
        logger.warning("Import %s was taken over by another worker.", pk)
    except jobs.CancelRequested:
        jobs.finish(claim, Job.Status.CANCELLED)
    except ImportRefused as refused:
        _fail(claim, refused)
    except SoftTimeLimitExceeded:
        _fail(
            claim, ImportRefused("too_long", "The import took longer than a worker may work on one. Try fewer files.")
        )
    except IntegrityError:
        if not Dataset.objects.filter(name=job.name).exists():
            _fail(claim, ImportRefused("unexpected", "The database refused the rows. The log of the worker says more."))
            raise
        _fail(claim, ImportRefused("name_taken", f"There is a data set named {job.name} already."))
    except Exception as error:
        _fail(
            claim, ImportRefused("unexpected", f"Something went wrong ({type(error).__name__}). Nothing was imported.")
        )
        raise
    finally:
        if not kept:
            # The commit may have happened although its answer was lost: what refers to the files decides.
            discard_unused(folder)
    if kept:
        recognise_photos()
        keep_reference_pictures(Dataset.objects.get(name=job.name))


class JobReport:
    """A report that renews the lease, writes progress with an estimate, and passes on a wish to cancel."""

    def __init__(self, claim: jobs.JobClaim) -> None:
        self._claim = claim
        self._stage = ""
        self._since = 0.0
        self._beat = 0.0

    def __call__(self, progress: Progress) -> None:
        """At most every `HEARTBEAT_EVERY` seconds. Raises LeaseLost and CancelRequested."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._since = progress.stage, now
        elif now - self._beat < HEARTBEAT_EVERY:
            return
        self.now(progress)

    def now(self, progress: Progress) -> None:
        """At once."""
        self._beat = time.monotonic()
        spent = self._beat - self._since
        shown: dict[str, Any] = {"stage": progress.stage, "done": progress.done, "total": progress.total}
        if progress.done and spent > 1 and self._stage == progress.stage:
            shown["per_s"] = round(progress.done / spent, 1)
            shown["eta_s"] = round(spent / progress.done * (progress.total - progress.done))
        jobs.heartbeat(self._claim, progress=shown)


def _prepare_job(job: DatasetImport, *, folder: str, work: Path, report: Report) -> NewDataset:
    if job.layout == DatasetImport.Layout.CONFIRMED_PHOTOS:
        from training.data.versions import prepare_version

        assert job.previous is not None
        return prepare_version(job.previous, name=job.name, folder=folder, work=work, report=report)
    source = Source(
        ground_truth=_at_hand(job.ground_truth, work, "ground_truth.csv", report),
        metadata=_at_hand(job.metadata, work, "metadata.csv", report) if job.metadata else None,
        images=_at_hand(job.images, work, "images.zip", report) if job.images else None,
        leave_out_unmapped=job.leave_out_unmapped,
        near_together=job.near_together,
    )
    return _prepare(name=job.name, source=source, seed=job.split_seed, folder=folder, work=work, report=report)


def _at_hand(source: str, work: Path, name: str, report: Report) -> Path:
    """The file on this machine: a path of the data folder, or a copy of the stored upload."""
    if not source.startswith(UPLOAD):
        try:
            return resolve_source(source)
        except ValueError as error:
            raise ImportRefused("upload_gone", f"{source} is no longer in the data folder.") from error
    target = work / name
    try:
        with open_upload(source) as upload, writing("the uploaded file"), target.open("wb") as file:
            # From a remote storage gigabytes take longer than a lease lasts.
            while chunk := upload.read(_CHUNK):
                file.write(chunk)
                report(Progress("tables", 0, 1))
    except FileNotFoundError as error:
        raise ImportRefused("upload_gone", "The uploaded file is gone from the storage. Upload it again.") from error
    return target


def _prepare(*, name: str, source: Source, seed: int, folder: str, work: Path, report: Report) -> NewDataset:
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
        if tables.faults:
            raise faulty(tables.faults)
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
    """The rows of `tables` with what was seen of their pictures. Raises ImportRefused with all faults of both."""
    faults = list(tables.faults)
    try:
        store = PictureStore(images)
    except ExamplesError as error:
        raise faulty([*faults, *error.faults]) from error
    wanted = list(zip(tables.rows["image"], tables.rows["line"].astype(int), strict=True))
    with store as pictures:
        _require_room(sum(pictures.size_of(image) for image, _ in wanted if image in pictures), archive_file.parent)
        with ArchiveWriter(archive_file) as archive:
            seen = inspect_pictures(wanted, pictures, labels_file=tables.labels_file, archive=archive, report=report)
        notes["pictures_without_row"] = len(pictures) - sum(image in pictures for image, _ in wanted)
    faults += seen.faults
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
        raise ImportRefused(
            "disk_full",
            f"The images need {size / 1e9:.1f} GB of working space, and {free / 1e9:.1f} GB are free. "
            "Nothing was imported; make room and import again.",
        )


@contextmanager
def _workspace() -> Iterator[Path]:
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


def _seal(locked: DatasetImport, new: NewDataset) -> None:
    """Inside the transaction that ends the job."""
    locked.dataset = seal_dataset(new, by=locked.requested_by)
    locked.progress = {"stage": "done", "done": 1, "total": 1}


def _fail(claim: jobs.JobClaim, refused: ImportRefused) -> None:
    def keep_faults(locked: DatasetImport) -> None:
        locked.faults = [fault.as_json() for fault in refused.faults[:FAULTS_KEPT]]

    jobs.finish(
        claim, Job.Status.FAILED, failure_code=refused.code, failure_detail=refused.message, and_then=keep_faults
    )
