"""One claimed import, from its row to its sealed data set, in the Celery child that got the message.

An import has no process of its own and does not wait for the accelerator, unlike runs and evaluations: it loads no
TensorFlow, takes minutes, and starts at once beside a run that takes hours.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from recognition.progress import Progress, Report, silent
from training.data import sealing
from training.data.import_errors import DatasetImportError, writing
from training.data.importing import ImportSource, prepare, use_pictures, workspace
from training.data.joining import prepare_joined
from training.data.versions import prepare_version
from training.models import Dataset, DatasetImport, Job
from training.services import jobs
from training.services.datasets import NewDataset
from training.services.imports import SOURCES, UPLOAD, open_upload, resolve_source
from training.services.orphans import discard_unused, job_folder
from training.worker.execution import Wording, execute
from training.worker.reporter import Reporter
from training.worker.stopping import stop_announced

WORDING: Final = Wording(
    cancelled="Cancelled; nothing was imported.",
    disk_full="The disk is full. Nothing was imported; make room and import again.",
    out_of_memory="Memory ran out. Nothing was imported; try fewer files, or a machine with more memory.",
)
_CHUNK: Final = 1024 * 1024


def run_import_job(pk: Any) -> None:
    """Do the import `pk` if it is queued; an old or repeated message does nothing."""
    claim = jobs.claim(DatasetImport, pk)
    if claim is not None:
        import_claimed(claim, should_stop=stop_announced)


def import_claimed(
    claim: jobs.JobClaim,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do a claimed import; returns as `execute` does. After an interruption it begins again."""
    job = DatasetImport.objects.select_related("previous").get(pk=claim.pk)
    folder = job_folder(job, claim.lease)
    status = None
    try:
        status = execute(
            claim,
            lambda report: _import(job, folder, report),
            wording=WORDING,
            should_stop=should_stop,
            when_stopped=when_stopped,
            also=also,
        )
    finally:
        if status != Job.Status.SUCCEEDED:
            # The commit may have happened although its answer was lost, so ask whether a row refers to the files.
            discard_unused(folder)
    if status == Job.Status.SUCCEEDED:
        use_pictures(Dataset.objects.get(name=job.name))
    return status


def _import(job: DatasetImport, folder: str, report: Reporter) -> Callable[[DatasetImport], None]:
    sealing.refuse_taken(job.name)
    with workspace() as work:
        new = _prepare(job, folder=folder, work=work, report=report)
    report(Progress("rows", 0, 1))

    def keep(locked: DatasetImport) -> None:
        locked.dataset = sealing.write(new, by=jobs.on_behalf_of(locked))
        locked.progress = {"stage": "done", "done": 1, "total": 1}

    return keep


def _prepare(job: DatasetImport, *, folder: str, work: Path, report: Report) -> NewDataset:
    if job.layout == DatasetImport.Layout.CONFIRMED_PHOTOS:
        assert job.previous is not None
        return prepare_version(job.previous, name=job.name, folder=folder, work=work, report=report)
    if job.layout == DatasetImport.Layout.JOINED:
        return prepare_joined(
            name=job.name,
            parts=list(job.parts.order_by("pk")),
            same_lesion=_source(job, "same_lesion", work, report),
            leave_out=_source(job, "leave_out", work, report),
            folder=folder,
            report=report,
        )
    source = ImportSource(
        ground_truth=_at_hand(job.ground_truth, work, SOURCES["ground_truth"], report),
        metadata=_source(job, "metadata", work, report),
        supplement=_source(job, "supplement", work, report),
        images=_source(job, "images", work, report),
        layout=job.layout,
        leave_out_unmapped=job.leave_out_unmapped,
        near_together=job.near_together,
    )
    return prepare(name=job.name, source=source, seed=job.split_seed, folder=folder, work=work, report=report)


def _source(job: DatasetImport, field: str, work: Path, report: Report) -> Path | None:
    source = getattr(job, field)
    return _at_hand(source, work, SOURCES[field], report) if source else None


def _at_hand(source: str, work: Path, name: str, report: Report) -> Path:
    """The file on this machine: a path of the data folder, or a copy of the stored upload."""
    if not source.startswith(UPLOAD):
        try:
            return resolve_source(source)
        except ValueError as error:
            raise DatasetImportError("upload_gone", f"{source} is no longer in the data folder.") from error
    target = work / name
    try:
        with open_upload(source) as upload, writing("the uploaded file"), target.open("wb") as file:
            # Gigabytes from a remote storage take longer than a lease.
            while chunk := upload.read(_CHUNK):
                file.write(chunk)
                report(Progress("tables", 0, 1))
    except FileNotFoundError as error:
        raise DatasetImportError(
            "upload_gone", "The uploaded file is gone from the storage. Upload it again."
        ) from error
    return target
