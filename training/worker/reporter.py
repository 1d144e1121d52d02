"""The two ways between a running job and the rest: progress out, cancel and stop in.

The work calls the reporter after every batch of pictures. About once a second that becomes a heartbeat with progress
in the job's row; at the end of an epoch, an entry of the run's history. Between two batches a network may be traced,
validated or exported for minutes, so a thread renews the lease as well, but only while batches do come: a job that
hangs is lost to its worker and another one takes it up.
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

WRITE_EVERY: Final = 1.0  # seconds between two writes of progress; an epoch's end is written at once
RATE_WINDOW: Final = 30.0  # seconds the speed is averaged over
HANGS_AFTER: Final = 900.0
"""Seconds without any sign from the pipeline after which a job counts as hanging. The longest silences are the
first step under XLA and the validation of a large split on few cores: some minutes."""

FAILPOINTS: Final[dict[type[Job], str]] = {
    DatasetImport: "import",
    TrainingRun: "training",
    EvaluationJob: "evaluation",
}
"""Beginnings of the failpoints that a drill may set at any stage: "training_fine-tune_17"."""


class Stopped(Exception):
    """The worker was told to stop: leave the checkpoint, where there is one, and give the job back."""


class Reporter:
    """A `Report` for one claimed job of any kind. Use as a context manager: the thread lives inside it.

    Calling it raises `Cancelled`, `Stopped` or `LeaseLost`; what was checkpointed stays.
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
        """From now on describe stages by their epochs and keep the history: this job is a run."""
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
        # Only now: an epoch that ends here has its checkpoint, and without its entry the history would have a gap.
        if self._cancelled.is_set():
            raise Cancelled
        if self._should_stop():
            raise Stopped

    def log(self, line: str) -> None:
        """Add a line to the job's log; a database that is away for a moment costs the line, not the job."""
        try:
            jobs.append_log(self._claim, line)
        except (OperationalError, InterfaceError):
            connection.close()

    def _write(self, **changes: Any) -> None:
        try:
            jobs.heartbeat(self._claim, **changes)
        except (OperationalError, InterfaceError):
            connection.close()
            # Another worker may have the job by now: without the database only the clock can say so.
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
        """The row's `progress`: stage, done, total, and where they mean something epoch, batch, eta_s, images_per_s."""
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
