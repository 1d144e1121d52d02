"""The life of a job: requested, claimed, alive, finished or taken back. The same for imports, runs and evaluations.

As with photos, the row is the outbox, and the lease in the row decides which worker has the job. The broker only wakes
a worker. Training acknowledges its message at once, so no visibility timeout starts a run a second time.
"""

import contextlib
import functools
import logging
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.photos.queue import publish, queue_depth
from recognition.progress import Cancelled
from training.models import DatasetImport, EvaluationJob, Job, TrainingRun

logger = logging.getLogger(__name__)

TRAINING_QUEUE: Final = "training"
TASKS: Final[dict[type[Job], str]] = {
    DatasetImport: "training.import_dataset",
    TrainingRun: "training.train",
    EvaluationJob: "training.evaluate",
}
LANES: Final[tuple[tuple[type[Job], ...], ...]] = ((TrainingRun, EvaluationJob), (DatasetImport,))
"""Jobs of one lane wait for each other: runs and evaluations for the accelerator, imports for other imports."""
MAX_ATTEMPTS: Final = 5  # a job that kills its worker each time is given up after so many attempts
LOG_LIMIT: Final = 100_000  # characters of log kept in the row; the oldest are cut


@dataclass(frozen=True)
class JobClaim:
    """A worker's right to work on one job."""

    model: type[Job]
    pk: Any
    lease: uuid.UUID
    attempt: int


class LeaseLost(Exception):
    """Another worker has this job now, or it has ended: stop and write nothing."""


class JobRejected(Exception):
    """A job that was asked for could only fail, so it is not queued.

    `field` names the form field that is wrong ("" for the whole form), `message` says what to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def require_administrator(by: User | None) -> None:
    """Training belongs to administrators; None is the shell. Raises NotAllowed."""
    if by is not None and not (by.is_active and by.is_administrator):
        raise NotAllowed("Only an administrator may do this.")


def on_behalf_of(job: Job) -> User | None:
    """The person who asked for a job; None if that person is no active administrator any more."""
    by = job.requested_by
    return by if by is not None and by.is_active and by.is_administrator else None


def announce(job: Job) -> None:
    """After the commit of a queued row: wake a training worker."""
    transaction.on_commit(functools.partial(_publish, type(job), job.pk))


def claim(model: type[Job], pk: Any) -> JobClaim | None:
    """QUEUED -> RUNNING by a guarded update; None if the job is not queued (any more)."""
    lease = uuid.uuid4()
    now = timezone.now()
    claimed = model._default_manager.filter(pk=pk, status=Job.Status.QUEUED).update(
        status=Job.Status.RUNNING,
        lease=lease,
        lease_expires=now + settings.TRAINING_LEASE,
        heartbeat=now,
        started=now,
        attempts=F("attempts") + 1,
        worker=socket.gethostname(),
    )
    if not claimed:
        return None
    return JobClaim(model, pk, lease, model._default_manager.values_list("attempts", flat=True).get(pk=pk))


def claim_oldest(kinds: Sequence[type[Job]]) -> JobClaim | None:
    """Claim the job of these kinds that has waited longest; None if none waits."""
    while waiting := _oldest_waiting(kinds):
        if claimed := claim(type(waiting), waiting.pk):
            return claimed
    return None


def wake_next(kinds: Sequence[type[Job]]) -> None:
    """Call when a job of this lane has ended: wakes a worker for the next one, without waiting for the sweep."""
    waiting = _oldest_waiting(kinds)
    if waiting is not None:
        _publish(type(waiting), waiting.pk)


def heartbeat(claim: JobClaim, **changes: Any) -> None:
    """Renew the lease and write progress (or any other column). Raises LeaseLost, or Cancelled after writing."""
    now = timezone.now()
    held = _held(claim)
    if not held.update(heartbeat=now, lease_expires=now + settings.TRAINING_LEASE, **changes):
        raise LeaseLost
    if held.filter(cancel_requested__isnull=False).exists():
        raise Cancelled


def append_log(claim: JobClaim, line: str) -> None:
    """Add a line to the job's log. Raises LeaseLost."""
    text = f"{timezone.now():%Y-%m-%d %H:%M:%S} {line}\n"
    if not _held(claim).update(log=Concat(F("log"), Value(text))):
        raise LeaseLost
    job = _held(claim).only("log").first()
    if job is not None and len(job.log) > LOG_LIMIT:
        _held(claim).update(log=job.log[-LOG_LIMIT // 2 :])


def finish(
    claim: JobClaim,
    status: Job.Status,
    *,
    failure_code: str = "",
    failure_detail: str = "",
    and_then: Callable[[Any], None] | None = None,
) -> bool:
    """End a job for good; False when the lease is gone. `and_then(job)` runs in the same transaction."""
    with transaction.atomic():
        job: Any = _held(claim).select_for_update().first()
        if job is None:
            return False
        job.status = status
        job.failure_code = failure_code
        job.failure_detail = failure_detail
        job.finished = timezone.now()
        job.lease = job.lease_expires = None
        if and_then is not None:
            and_then(job)
        job.save()
    return True


def give_back(claim: JobClaim) -> bool:
    """Return the job of a worker that is stopped to the queue; the next worker resumes at the checkpoint."""
    return bool(
        _held(claim).update(
            status=Job.Status.QUEUED, lease=None, lease_expires=None, published=None, attempts=F("attempts") - 1
        )
    )


def worker_lost(claim: JobClaim, *, detail: str) -> bool:
    """Call when the process of a claim died: back to the queue, FAILED after the last attempt, or cancelled if asked.

    False when the lease is gone; it is gone as well if the process wrote how its job ended before it died.
    """
    with contextlib.suppress(LeaseLost):
        append_log(claim, detail)
    return bool(_take_back(_held(claim), detail=detail))


def queue_position(job: Job) -> int:
    """The place of a job in the queue of its lane, from 1 (next) on; 0 when it does not wait."""
    if job.status != Job.Status.QUEUED:
        return 0
    before = sum(
        model._default_manager.filter(status=Job.Status.QUEUED, queued__lt=job.queued).count() for model in _lane(job)
    )
    return before + 1


def lane_is_busy(job: Job) -> bool:
    """Whether a job of the same lane is running."""
    running = (model._default_manager.filter(status=Job.Status.RUNNING) for model in _lane(job))
    return any(rows.exists() for rows in running)


def request_cancel(job: Job, *, by: User | None) -> bool:
    """Ask for a job to end: a waiting one ends at once, a running one within seconds. False if it had ended."""
    require_administrator(by)
    now = timezone.now()
    rows = type(job)._default_manager.filter(pk=job.pk)
    if rows.filter(status=Job.Status.QUEUED).update(status=Job.Status.CANCELLED, cancel_requested=now, finished=now):
        return True
    return bool(
        rows.filter(status=Job.Status.RUNNING, cancel_requested__isnull=True).update(cancel_requested=now)
        or rows.filter(status=Job.Status.RUNNING).exists()
    )


def sweep_jobs() -> int:
    """Take back jobs whose worker is lost, fail those that were lost too often, wake workers for the rest."""
    now = timezone.now()
    touched = 0
    for model in TASKS:
        rows = model._default_manager
        expired = rows.filter(status=Job.Status.RUNNING, lease_expires__lt=now)
        touched += _take_back(expired, detail=f"The worker was lost {MAX_ATTEMPTS} times.")
        waiting = rows.filter(status=Job.Status.QUEUED)
        forgotten = waiting.filter(published__isnull=True)
        # While messages wait in the broker, all workers are busy and an old message is still good. If the queue is
        # empty, the message was lost, or a busy worker holds it while another worker may be idle.
        stale = waiting.filter(published__lt=now - settings.TRAINING_LEASE)
        if stale.exists() and not _messages_waiting():
            forgotten = forgotten | stale
        for pk in forgotten.order_by("queued").values_list("pk", flat=True):
            _publish(model, pk)
            touched += 1
    return touched


def _take_back(lost: Any, *, detail: str) -> int:
    """End running jobs whose worker is gone: cancelled if asked, FAILED after the last attempt, else queued again."""
    ended = {"finished": timezone.now(), "lease": None, "lease_expires": None}
    touched = lost.filter(cancel_requested__isnull=False).update(status=Job.Status.CANCELLED, **ended)
    touched += lost.filter(attempts__gte=MAX_ATTEMPTS).update(
        status=Job.Status.FAILED, failure_code="worker_lost", failure_detail=detail, **ended
    )
    touched += lost.update(status=Job.Status.QUEUED, lease=None, lease_expires=None, published=None)
    return int(touched)


def _lane(job: Job) -> tuple[type[Job], ...]:
    return next(lane for lane in LANES if type(job) in lane)


def _oldest_waiting(kinds: Sequence[type[Job]]) -> Job | None:
    first = [model._default_manager.filter(status=Job.Status.QUEUED).order_by("queued").first() for model in kinds]
    return min((job for job in first if job is not None), key=lambda job: job.queued, default=None)


def _held(claim: JobClaim) -> Any:
    return claim.model._default_manager.filter(pk=claim.pk, status=Job.Status.RUNNING, lease=claim.lease)


def _messages_waiting() -> int:
    try:
        return queue_depth(TRAINING_QUEUE)
    except Exception as error:
        logger.warning("The broker does not answer: %s.", type(error).__name__)
        return 1  # nothing could be published now either


def _publish(model: type[Job], pk: Any) -> None:
    if publish(TASKS[model], [str(pk)], queue=TRAINING_QUEUE):
        model._default_manager.filter(pk=pk, status=Job.Status.QUEUED).update(published=timezone.now())
