"""The process that does one run or evaluation, started by the supervisor.

    python -m training.worker.process run|evaluation KEY LEASE ATTEMPT

The job has a process of its own for three reasons: TensorFlow and CUDA never free their memory; they must not be loaded
in a process that forks; and the operating system can kill a job without killing Celery.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import uuid
from typing import Final

import django

NICENESS: Final = 15
"""Patients come first: at 15, beside a worker at 0, training gets about 3 % of a busy core."""

stop = threading.Event()


def main(arguments: list[str]) -> None:
    """Do the job. The exit status is 0 if the row says how it ended."""
    kind, key, lease, attempt = arguments
    supervisor = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole terminal group; the supervisor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    django.setup()

    # Models can be imported after django.setup().
    from training.models import EvaluationJob, TrainingRun
    from training.services.jobs import JobClaim

    if kind == "run":
        # Models can be imported after django.setup().
        from training.worker.training import train_claimed as work

        claim = JobClaim(TrainingRun, uuid.UUID(key), uuid.UUID(lease), int(attempt))
    else:
        # Models can be imported after django.setup().
        from training.worker.evaluating import evaluate_claimed as work

        claim = JobClaim(EvaluationJob, int(key), uuid.UUID(lease), int(attempt))
    # A killed supervisor cannot send SIGTERM, so the parent process is compared. (`manage.py train` does not do this: a
    # run in the foreground may outlive its terminal.)
    status = work(claim, should_stop=lambda: stop.is_set() or os.getppid() != supervisor)
    logging.getLogger(__name__).info("%s %s: %s.", kind.capitalize(), key, status or "not ours any more")


if __name__ == "__main__":
    main(sys.argv[1:])
