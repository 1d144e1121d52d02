"""The life of a job: requested, claimed, alive, finished or taken back. The same for imports, runs and evaluations.

As with photos, the row is the outbox and the lease in the database decides who works on it; the broker only wakes a
worker. Training acknowledges its message at once, so no visibility timeout ever starts a run a second time.
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
"""Jobs of one lane wait for each other: networks for the machine's accelerator, imports for one another."""
MAX_ATTEMPTS: Final = 5  # a run may be resumed this often; one that kills its worker each time is given up
LOG_LIMIT: Final = 100_000  # characters of log kept in the row; the newest are worth most


@dataclass(frozen=True)
class JobClaim:
    """A worker's right to work on one job."""

    model: type[Job]
    pk: Any
    lease: uuid.UUID
    attempt: int


class LeaseLost(Exception):
    """Somebody else works on this job now, or nobody may: stop and write nothing."""


def require_administrator(by: User | None) -> None:
    """Training belongs to administrators; None is the shell. Raises NotAllowed."""
    if by is not None and not (by.is_active and by.is_administrator):
        raise NotAllowed("Only an administrator may do this.")


def on_behalf_of(job: Job) -> User | None:
    """Who asked for a job that is being done: they were allowed to then. None where they have another role by now."""
    by = job.requested_by
    return by if by is not None and by.is_active and by.is_administrator else None


def announce(job: Job) -> None:
    """After the commit of a queued row: wake a training worker."""
    transaction.on_commit(functools.partial(_publish, type(job), job.pk))


def claim(model: type[Job], pk: Any) -> JobClaim | None:
    """QUEUED -> RUNNING by a guarded update; None for a message that has nothing to say (any more)."""
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
    """Claim what has waited longest among these kinds; None where nothing waits."""
    while waiting := _oldest_waiting(kinds):
        if claimed := claim(type(waiting), waiting.pk):
            return claimed
    return None


def wake_next(kinds: Sequence[type[Job]]) -> None:
    """Something of this lane has ended: wake a worker for what has waited longest, without waiting for the sweep."""
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
    """A worker that is stopped hands its job back; the next one resumes at the checkpoint."""
    return bool(
        _held(claim).update(
            status=Job.Status.QUEUED, lease=None, lease_expires=None, published=None, attempts=F("attempts") - 1
        )
    )


def worker_lost(claim: JobClaim, *, detail: str) -> bool:
    """The process behind a claim died: back to the queue, or FAILED when it was the last attempt; cancelled if asked.

    False when the lease is gone, as it is when the process had still said how its job ended.
    """
    with contextlib.suppress(LeaseLost):
        append_log(claim, detail)
    return bool(_take_back(_held(claim), detail=detail))


def queue_position(job: Job) -> int:
    """How many jobs of its lane will be started before this one, plus one; 0 when it does not wait. Oldest first."""
    if job.status != Job.Status.QUEUED:
        return 0
    before = sum(
        model._default_manager.filter(status=Job.Status.QUEUED, queued__lt=job.queued).count() for model in _lane(job)
    )
    return before + 1


def lane_is_busy(job: Job) -> bool:
    """Whether another job that this one may have to wait for is running."""
    running = (model._default_manager.filter(status=Job.Status.RUNNING) for model in _lane(job))
    return any(rows.exists() for rows in running)


def request_cancel(job: Job, *, by: User | None) -> bool:
    """Ask for a job to end: at once where it waits, within seconds where it runs. False where it had ended."""
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
    """Take back jobs whose worker fell silent, give up those that keep killing theirs, wake workers for the rest."""
    now = timezone.now()
    touched = 0
    for model in TASKS:
        rows = model._default_manager
        expired = rows.filter(status=Job.Status.RUNNING, lease_expires__lt=now)
        touched += _take_back(expired, detail=f"The worker was lost {MAX_ATTEMPTS} times.")
        waiting = rows.filter(status=Job.Status.QUEUED)
        forgotten = waiting.filter(published__isnull=True)
        # Long ago handed over and still waiting is no fault while messages wait: every worker is busy. With an
        # empty queue it was lost, or lies in the hands of a worker that is busy while another may be idle.
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
