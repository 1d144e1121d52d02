"""Supervises one run or evaluation in Celery's prefork child: claims it, starts its process, watches both.

The message was acknowledged before, and nothing here depends on it. The lease in the row decides. While the worker
holds it, the process works; when it is lost, the process is killed. When the process dies, the row goes back to the
queue at once and does not wait for the end of the lease.
"""

import contextlib
import fcntl
import itertools
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from recognition.progress import Cancelled
from training.models import EvaluationJob, Job, TrainingRun
from training.services import jobs
from training.worker.stopping import stop_announced

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.5  # seconds between two looks at process and worker
LEASE_EVERY: Final = 4.0  # seconds between two looks at the lease
STARTING: Final = 120.0
"""Seconds in which the supervisor renews the lease: a process that loads pandas and TensorFlow on a busy machine sends
no heartbeat yet."""
PATIENCE: Final = 60.0
"""Seconds a process has after SIGTERM: it ends the current batch, and tracing the first batch takes longest."""

KINDS: Final[dict[type[Job], str]] = {TrainingRun: "run", EvaluationJob: "evaluation"}
"""Jobs that need the accelerator, with their names on the command line of `training.worker.process`."""


class DeviceBusy(Exception):
    """Another training or evaluation runs on this machine's accelerator (or its processors)."""


@contextlib.contextmanager
def device() -> Iterator[None]:
    """Hold the GPUs that this process may see, so that each has one training at a time. Raises DeviceBusy.

    Each visible GPU has a lock of its own; a process that may see all GPUs excludes all others on the machine. If one
    process names a GPU by number and another by UUID, it counts as two.
    """
    folder = Path(settings.TRAINING_WORK_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        for name, mode in _locks(os.environ.get("CUDA_VISIBLE_DEVICES")):
            lock = held.enter_context((folder / f"device-{socket.gethostname()}-{name}.lock").open("w"))
            try:
                fcntl.flock(lock, mode | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DeviceBusy("Another training runs on this machine; wait for it, or cancel it.") from error
        yield


def _locks(visible: str | None) -> list[tuple[str, int]]:
    """Names and modes of the locks to hold, in the order in which every process takes them.

    `visible` is CUDA_VISIBLE_DEVICES: None means every GPU, an empty text means none. CUDA ends the list at the first
    -1.
    """
    if visible is None:
        return [("all", fcntl.LOCK_EX)]
    names = list(itertools.takewhile(lambda name: name != "-1", (each.strip() for each in visible.split(","))))
    devices = {re.sub(r"[^A-Za-z0-9.-]", "-", name) for name in names if name} or {"processors"}
    return [("all", fcntl.LOCK_SH), *((name, fcntl.LOCK_EX) for name in sorted(devices))]


def supervise_next() -> None:
    """Do the run or evaluation that has waited longest, whichever one the message named.

    If none waits or the device is busy, nothing happens: the job that holds the device wakes the next at its end.
    """
    try:
        with device():
            claim = jobs.claim_oldest(list(KINDS))
            if claim is None:
                return
            _supervise(claim)
    except DeviceBusy:
        logger.info("The job waits: another training runs on this machine.")
        return
    jobs.wake_next(list(KINDS))


def _supervise(claim: jobs.JobClaim) -> None:
    worker = os.getppid()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "training.worker.process",
            KINDS[claim.model],
            str(claim.pk),
            str(claim.lease),
            str(claim.attempt),
        ],
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
    )
    logger.info(
        "%s %s: attempt %d in process %d.", KINDS[claim.model].capitalize(), claim.pk, claim.attempt, process.pid
    )
    started = time.monotonic()
    next_look, terminated = started + LEASE_EVERY, 0.0
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
                break
            now = time.monotonic()
            if not terminated and (stop_announced() or os.getppid() != worker):
                process.terminate()
                terminated = now
            if terminated and now - terminated > PATIENCE:
                process.kill()
            if now >= next_look:
                next_look = now + LEASE_EVERY
                if not _held(claim, renew=now - started < STARTING):
                    process.kill()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        connection.close()
    if process.returncode:
        _process_lost(claim, process.returncode)


def _held(claim: jobs.JobClaim, *, renew: bool) -> bool:
    """Whether this worker still holds the job. If the database does not answer: True, because the process asks too."""
    try:
        if renew:
            with contextlib.suppress(Cancelled, jobs.LeaseLost):
                jobs.heartbeat(claim)
        rows = claim.model._default_manager.filter(pk=claim.pk)
        # If the job has just ended, its process is about to exit.
        return rows.filter(lease=claim.lease).exists() or rows.filter(finished__isnull=False).exists()
    except (OperationalError, InterfaceError):
        connection.close()
        return True


def _process_lost(claim: jobs.JobClaim, returncode: int) -> None:
    why = f"status {returncode}"
    if returncode < 0:
        why = signal.Signals(-returncode).name
    if returncode == -signal.SIGKILL:
        why += ", most often because memory ran out"
    logger.error("The process of %s %s ended with %s.", KINDS[claim.model], claim.pk, why)
    jobs.worker_lost(claim, detail=f"The process of the {KINDS[claim.model]} ended with {why}.")
