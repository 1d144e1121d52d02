"""The epochs of a run: the epoch and batch of a report, and the history of epochs that have ended."""

import time
from collections.abc import Sequence
from typing import Any

from recognition.progress import Progress
from recognition.recipes import Recipe


class Epochs:
    """Epochs as the recipe counts them. `history` has the entries of earlier attempts at the run."""

    def __init__(self, recipe: Recipe, *, history: Sequence[dict[str, Any]], train_pictures: int) -> None:
        self._recipe = recipe
        self._history = list(history)
        self._train_pictures = train_pictures
        self._began = time.monotonic()

    def begin(self, now: float) -> None:
        """Call when a stage begins: the time of its first epoch is measured from here."""
        self._began = now

    def position(self, progress: Progress) -> dict[str, int]:
        """The epoch, and the batch if an epoch has several; empty for a stage without epochs."""
        epochs = self._count(progress.stage)
        if not epochs:
            return {}
        batches = self._batches(progress)
        described = {"epochs": epochs, "epoch": min(epochs, progress.done // batches + 1)}
        if batches > 1:
            described |= {"batch": progress.done % batches, "batches": batches}
        return described

    def pictures_a_unit(self, stage: str) -> int:
        """How many pictures one unit of a stage's progress is."""
        if stage == "head":
            return self._train_pictures
        return self._recipe.fine_tune.batch_size if stage == "fine-tune" and self._recipe.fine_tune is not None else 1

    def ended(self, progress: Progress, *, images_per_s: float | None, now: float) -> list[dict[str, Any]]:
        """The history with an entry for the epoch that ends with this report."""
        epoch = progress.done // self._batches(progress)
        entry: dict[str, Any] = {"phase": progress.stage, "epoch": epoch}
        entry |= {name: round(float(value), 6) for name, value in progress.figures.items()}
        entry |= {"seconds": round(now - self._began, 1), "images_per_s": images_per_s}
        self._began = now
        # A resumed run may repeat the epoch that was interrupted: its new figures replace the old ones.
        kept = [each for each in self._history if each["phase"] != progress.stage or each["epoch"] < epoch]
        self._history = [*kept, entry]
        return self._history

    def _count(self, stage: str) -> int:
        if stage == "head":
            return self._recipe.frozen.epochs
        return self._recipe.fine_tune.epochs if stage == "fine-tune" and self._recipe.fine_tune is not None else 0

    def _batches(self, progress: Progress) -> int:
        return max(1, progress.total // self._count(progress.stage))
