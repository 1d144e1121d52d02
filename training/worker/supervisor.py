"""One run or evaluation as Celery's prefork child sees it: claim it, start its process, watch lease and worker.

The message has been acknowledged before this begins; nothing here depends on it. The lease in the row decides: while
it is held the process works, once it is lost the process is ended, and when the process dies the row goes back to the
queue at once, without waiting for the lease to run out.
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

LOOK_EVERY: Final = 0.5  # seconds between two looks at process, worker and lease
LEASE_EVERY: Final = 4.0  # seconds between two looks at the lease
STARTING: Final = 120.0
"""Seconds in which the supervisor keeps the lease itself: a process that loads pandas and TensorFlow on a busy
machine sends no heartbeat yet."""
PATIENCE: Final = 60.0
"""Seconds a process has to leave after SIGTERM: the current batch, at worst the tracing of the first."""

KINDS: Final[dict[type[Job], str]] = {TrainingRun: "run", EvaluationJob: "evaluation"}
"""What needs the machine's accelerator, and what the process that does it calls it."""


class DeviceBusy(Exception):
    """Another training or evaluation runs on this machine's accelerator (or its processors)."""


@contextlib.contextmanager
def device() -> Iterator[None]:
    """One network at a time on each GPU that this process may see, whoever starts it. Raises DeviceBusy.

    Each visible GPU has a lock of its own, whatever order they are named in; who may see all of them excludes everybody
    else on the machine. A GPU that one process names by number and another by its UUID counts as two.
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
    """Names and modes of the locks to hold, in the order in which everybody takes them.

    `visible` is CUDA_VISIBLE_DEVICES: None where every GPU is, none of them where it is empty; CUDA ends the list at
    the first -1.
    """
    if visible is None:
        return [("all", fcntl.LOCK_EX)]
    names = list(itertools.takewhile(lambda name: name != "-1", (each.strip() for each in visible.split(","))))
    devices = {re.sub(r"[^A-Za-z0-9.-]", "-", name) for name in names if name} or {"processors"}
    return [("all", fcntl.LOCK_SH), *((name, fcntl.LOCK_EX) for name in sorted(devices))]


def supervise_next() -> None:
    """What a message asks for: do the run or evaluation that has waited longest, whichever the message was about.

    Nothing waiting, or a busy device, makes it a message for nothing: when the device is free again, its user wakes
    the next.
    """
    try:
        with device():
            claim = jobs.claim_oldest(list(KINDS))
            if claim is None:
                return
            _supervise(claim)
    except DeviceBusy:
        logger.info("What was asked for waits: another training runs here.")
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
    """Whether the job is still this worker's; a database that does not answer counts as yes, the process asks too."""
    try:
        if renew:
            with contextlib.suppress(Cancelled, jobs.LeaseLost):
                jobs.heartbeat(claim)
        rows = claim.model._default_manager.filter(pk=claim.pk)
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
    logger.error("The process of %s %s ended with %s.", KINDS[claim.model], claim.pk, why)
    jobs.worker_lost(claim, detail=f"The process of the {KINDS[claim.model]} ended with {why}.")
