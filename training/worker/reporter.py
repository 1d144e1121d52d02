"""Own the two ways between a running training and the rest: progress out, cancel and stop in.

The pipeline calls the reporter after every batch. About once a second that becomes a heartbeat with progress in the
run's row; at the end of an epoch, an entry of its history. Between two batches a network may be traced, validated or
exported for minutes, so a thread renews the lease as well, but only while batches do come: a training that hangs
loses its run and another worker takes it up.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from training.pipeline.progress import Cancelled, Progress, Report, silent
from training.recipes import Recipe
from training.services import jobs

WRITE_EVERY: Final = 1.0  # seconds between two writes of progress; an epoch's end is written at once
RATE_WINDOW: Final = 30.0  # seconds the speed is averaged over
HANGS_AFTER: Final = 900.0
"""Seconds without any sign from the pipeline after which a training counts as hanging. The longest silences are the
first step under XLA and the validation of a large split on few cores: some minutes."""


class Stopped(Exception):
    """The worker was told to stop: leave the checkpoint and give the run back."""


class Reporter:
    """A `Report` for one claimed run or evaluation. Use as a context manager: the thread lives inside it.

    `recipe`, `history` and `train_pictures` are those of a run; an evaluation has no epochs.

    Calling it raises `Cancelled`, `Stopped` or `LeaseLost`; what was checkpointed stays.
    """

    def __init__(
        self,
        claim: jobs.JobClaim,
        *,
        recipe: Recipe | None = None,
        history: Sequence[dict[str, Any]] = (),
        train_pictures: int = 0,
        should_stop: Callable[[], bool] = lambda: False,
        also: Report = silent,
    ) -> None:
        self._claim = claim
        self._recipe = recipe
        self._history = list(history)
        self._train_pictures = train_pictures
        self._should_stop = should_stop
        self._also = also
        self._last_write = 0.0
        self._last_held = self._last_sign = time.monotonic()
        self._stage = ""
        self._marks: deque[tuple[float, int]] = deque()
        self._epoch_started = time.monotonic()
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

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        self._last_sign = now
        self._also(progress)
        if self._lost.is_set():
            raise jobs.LeaseLost
        if self._cancelled.is_set():
            raise Cancelled
        if self._should_stop():
            raise Stopped
        changes: dict[str, Any] = {}
        new_stage = progress.stage != self._stage
        if new_stage:
            self._stage, self._epoch_started = progress.stage, now
            self._marks.clear()
        self._marks.append((now, progress.done))
        while now - self._marks[0][0] > RATE_WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        described = self._described(progress)
        if "balanced_accuracy" in progress.figures:
            self._remember(progress, described, now)
            changes["history"] = self._history
        if changes or new_stage or now - self._last_write >= WRITE_EVERY:
            self._last_write = now
            self._write(progress=described, **changes)
        if changes:
            figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
            self.log(f"{progress.stage} epoch {self._history[-1]['epoch']}: {figures}")
        elif new_stage:
            self.log(f"{progress.stage}: {progress.total}")

    def log(self, line: str) -> None:
        """Add a line to the run's log; a database that is away for a moment costs the line, not the run."""
        try:
            jobs.append_log(self._claim, line)
        except (OperationalError, InterfaceError):
            connection.close()

    def _write(self, **changes: Any) -> None:
        try:
            jobs.heartbeat(self._claim, **changes)
        except jobs.CancelRequested as error:
            raise Cancelled from error
        except (OperationalError, InterfaceError):
            connection.close()
            # Another worker may have the run by now: without the database only the clock can say so.
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
        epochs = self._epochs(progress.stage)
        if epochs:
            batches = max(1, progress.total // epochs)
            described["epochs"] = epochs
            described["epoch"] = min(epochs, progress.done // batches + 1)
            if batches > 1:
                described |= {"batch": progress.done % batches, "batches": batches}
        (began, first), (last, done) = self._marks[0], self._marks[-1]
        if done > first and last > began:
            rate = (done - first) / (last - began)
            described["eta_s"] = round((progress.total - progress.done) / rate)
            described["images_per_s"] = round(rate * self._pictures_a_unit(progress.stage), 1)
        if "loss" in progress.figures:
            described["loss"] = progress.figures["loss"]
        return described

    def _epochs(self, stage: str) -> int:
        if self._recipe is None:
            return 0
        if stage == "head":
            return self._recipe.frozen.epochs
        return self._recipe.fine_tune.epochs if stage == "fine-tune" and self._recipe.fine_tune is not None else 0

    def _pictures_a_unit(self, stage: str) -> int:
        if stage == "head":
            return self._train_pictures
        if self._recipe is None:
            return 1
        return self._recipe.fine_tune.batch_size if stage == "fine-tune" and self._recipe.fine_tune is not None else 1

    def _remember(self, progress: Progress, described: Mapping[str, Any], now: float) -> None:
        batches = max(1, progress.total // self._epochs(progress.stage))
        epoch = progress.done // batches
        entry: dict[str, Any] = {"phase": progress.stage, "epoch": epoch}
        entry |= {name: round(float(value), 6) for name, value in progress.figures.items()}
        entry |= {"seconds": round(now - self._epoch_started, 1), "images_per_s": described.get("images_per_s")}
        self._epoch_started = now
        # A resumed run may repeat the epoch that was cut off: its new figures take the place of the old ones.
        self._history = [each for each in self._history if each["phase"] != progress.stage or each["epoch"] < epoch] + [
            entry
        ]
