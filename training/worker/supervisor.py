"""Own one run as Celery's prefork child sees it: claim it, start its process, watch the lease and the worker.

The message has been acknowledged before this begins; nothing here depends on it. The lease in the row decides: while
it is held the process works, once it is lost the process is ended, and when the process dies the row goes back to the
queue at once, without waiting for the lease to run out.
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from training.models import TrainingRun
from training.services import jobs
from training.worker.stopping import stop_announced

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.5  # seconds between two looks at process, worker and lease
LEASE_EVERY: Final = 4.0  # seconds between two looks at the lease
STARTING: Final = 120.0
"""Seconds in which the supervisor keeps the lease itself: a process that loads pandas and TensorFlow on a busy
machine sends no heartbeat yet."""
PATIENCE: Final = 60.0
"""Seconds a process has to leave after SIGTERM: the current batch, at worst the tracing of the first."""


class DeviceBusy(Exception):
    """Another training runs on this machine's accelerator (or its processors)."""


@contextlib.contextmanager
def device() -> Iterator[None]:
    """One training at a time per machine and set of visible GPUs, whoever starts it. Raises DeviceBusy."""
    folder = Path(settings.TRAINING_WORK_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "all").replace(",", "-").replace("/", "-")
    with (folder / f"device-{socket.gethostname()}-{gpus}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeviceBusy("Another training runs on this machine; wait for it, or cancel it.") from error
        yield


def supervise_run(run_id: UUID) -> None:
    """What a message asks for. A run that is not waiting, or a busy device, makes it a message for nothing."""
    try:
        with device():
            claim = jobs.claim(TrainingRun, run_id)
            if claim is not None:
                _supervise(claim)
    except DeviceBusy:
        logger.info("Run %s waits: another training runs here.", run_id)


def _supervise(claim: jobs.JobClaim) -> None:
    worker = os.getppid()
    process = subprocess.Popen(
        [sys.executable, "-m", "training.worker.process", str(claim.pk), str(claim.lease), str(claim.attempt)],
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
    )
    logger.info("Run %s: attempt %d in process %d.", claim.pk, claim.attempt, process.pid)
    started = time.monotonic()
    next_look, told = started + LEASE_EVERY, 0.0
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
                break
            now = time.monotonic()
            if not told and (stop_announced() or os.getppid() != worker):
                process.terminate()
                told = now
            if told and now - told > PATIENCE:
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
    """Whether the run is still this worker's; a database that does not answer counts as yes, the process asks too."""
    try:
        if renew:
            with contextlib.suppress(jobs.CancelRequested, jobs.LeaseLost):
                jobs.heartbeat(claim)
        rows = TrainingRun.objects.filter(pk=claim.pk)
        # Where it has ended a moment ago, the process is on its way out.
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
    logger.error("The process of run %s ended with %s.", claim.pk, why)
    jobs.worker_lost(claim, detail=f"The training process ended with {why}.")
