"""The connection between a running job and its row: progress goes out, cancel and stop come in.

The work calls the reporter after every batch of pictures. About once a second the reporter writes a heartbeat with
progress into the row; at the end of an epoch it writes an entry of the run's history. Between two batches a network may
be traced, validated or exported for minutes, so a thread renews the lease too. The thread stops after a long silence,
so that another worker takes over a job that hangs.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from recognition.failpoints import failpoint
from recognition.progress import Cancelled, Progress, Report, silent
from training.models import DatasetImport, EvaluationJob, Job, TrainingRun
from training.services import jobs
from training.worker.epochs import Epochs

WRITE_EVERY: Final = 1.0  # seconds between two writes of progress; the end of an epoch is written at once
RATE_WINDOW: Final = 30.0  # seconds the speed is averaged over
HANGS_AFTER: Final = 900.0
"""Seconds without a report after which a job counts as hanging. The longest silences are the first step under XLA and
the validation of a large split on few cores: some minutes."""

FAILPOINTS: Final[dict[type[Job], str]] = {
    DatasetImport: "import",
    TrainingRun: "training",
    EvaluationJob: "evaluation",
}
"""First part of the names of the failpoints, of which there is one for every report: "training_fine-tune_17"."""


class Stopped(Exception):
    """The worker must stop: the checkpoint stays, if there is one, and the job goes back to the queue."""


class Reporter:
    """A `Report` for one claimed job of any kind. Use as a context manager: its thread runs inside.

    A call may raise `Cancelled`, `Stopped` or `LeaseLost`; checkpoints stay.
    """

    def __init__(
        self, claim: jobs.JobClaim, *, should_stop: Callable[[], bool] = lambda: False, also: Report = silent
    ) -> None:
        self._claim = claim
        self._should_stop = should_stop
        self._also = also
        self._epochs: Epochs | None = None
        self._last_write = 0.0
        self._last_held = self._last_sign = time.monotonic()
        self._stage = ""
        self._marks: deque[tuple[float, int]] = deque()
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Reporter":
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._heart.join()

    def follow(self, epochs: Epochs) -> None:
        """For a run: from now on report epochs and write the history."""
        self._epochs = epochs

    def __call__(self, progress: Progress) -> None:
        failpoint(f"{FAILPOINTS[self._claim.model]}_{progress.stage}_{progress.done}", photo=self._claim.pk)
        now = time.monotonic()
        self._last_sign = now
        self._also(progress)
        if self._lost.is_set():
            raise jobs.LeaseLost
        new_stage = progress.stage != self._stage
        if new_stage:
            self._stage = progress.stage
            self._marks.clear()
        self._marks.append((now, progress.done))
        while now - self._marks[0][0] > RATE_WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        described = self._described(progress)
        changes: dict[str, Any] = {"progress": described}
        line = f"{progress.stage}: {progress.total}" if new_stage else ""
        if self._epochs is not None:
            if new_stage:
                self._epochs.begin(now)
            if "balanced_accuracy" in progress.figures:
                changes["history"] = self._epochs.ended(progress, images_per_s=described.get("images_per_s"), now=now)
                figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
                line = f"{progress.stage} epoch {changes['history'][-1]['epoch']}: {figures}"
        if line or now - self._last_write >= WRITE_EVERY:
            self._last_write = now
            self._write(**changes)
        if line:
            self.log(line)
        # After the write: the epoch that ends here has its checkpoint, so the history needs its entry.
        if self._cancelled.is_set():
            raise Cancelled
        if self._should_stop():
            raise Stopped

    def log(self, line: str) -> None:
        """Add a line to the job's log. If the database does not answer, the line is lost and the job goes on."""
        try:
            jobs.append_log(self._claim, line)
        except (OperationalError, InterfaceError):
            connection.close()

    def _write(self, **changes: Any) -> None:
        try:
            jobs.heartbeat(self._claim, **changes)
        except (OperationalError, InterfaceError):
            connection.close()
            # The lease may have expired, and another worker may have the job: only the clock can tell.
            if time.monotonic() - self._last_held > settings.TRAINING_LEASE.total_seconds():
                raise jobs.LeaseLost from None
            return
        self._last_held = time.monotonic()

    def _beat(self) -> None:
        try:
            while not self._over.wait(settings.TRAINING_LEASE.total_seconds() / 4):
                if time.monotonic() - self._last_sign > HANGS_AFTER:
                    return
                try:
                    self._write()
                except Cancelled:
                    self._cancelled.set()
                except jobs.LeaseLost:
                    self._lost.set()
                    return
        finally:
            connection.close()

    def _described(self, progress: Progress) -> dict[str, Any]:
        """The row's `progress`: stage, done, total, and if they are known epoch, batch, eta_s, images_per_s."""
        described: dict[str, Any] = {"stage": progress.stage, "done": progress.done, "total": progress.total}
        if self._epochs is not None:
            described |= self._epochs.position(progress)
        (began, first), (last, done) = self._marks[0], self._marks[-1]
        if done > first and last > began:
            rate = (done - first) / (last - began)
            pictures = self._epochs.pictures_a_unit(progress.stage) if self._epochs is not None else 1
            described["eta_s"] = round((progress.total - progress.done) / rate)
            described["images_per_s"] = round(rate * pictures, 1)
        if "loss" in progress.figures:
            described["loss"] = progress.figures["loss"]
        return described
