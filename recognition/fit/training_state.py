"""Own the training of a run, in both phases: history, figures, reports, and the state a checkpoint keeps."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import balanced_accuracy, log_loss
from recognition.inference.bundle import Bundle
from recognition.inference.network import numpy_of
from recognition.progress import Progress, Report
from recognition.recipes import Recipe
from recognition.taxonomy import CODES

DEGENERATE_SHARE: Final = 0.98
"""More validation pictures than this under one name, where the truth is more varied: nothing was learned."""

DIVERGED: Final = "The loss is no longer a number: the training diverged. Lower the learning rate and start again."


class TrainingError(Exception):
    """The run cannot go on; `code` is "diverged", "collapsed" or "other_run", the message says why."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(slots=True)
class History:
    """One mapping of figures per epoch, in order; `best_epoch` counts from 0, -1 before the first."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: float = -np.inf

    def add(self, figures: dict[str, float], *, keeps_last: bool) -> bool:
        """Add an epoch. Returns whether its weights are the ones to keep: the best so far, or simply the last."""
        self.epochs.append(figures)
        if not keeps_last and figures["balanced_accuracy"] <= self.best_score:
            return False
        self.best_score, self.best_epoch = figures["balanced_accuracy"], len(self.epochs) - 1
        return True


def epoch_figures(loss: float, labels: NDArray[np.integer], table: NDArray[np.float64]) -> dict[str, float]:
    if not np.isfinite(loss):
        raise TrainingError("diverged", DIVERGED)
    return {
        "loss": loss,
        "validation_loss": log_loss(labels, table),
        "balanced_accuracy": balanced_accuracy(labels, table),
    }


def refuse_degenerate_output(labels: NDArray[np.integer], table: NDArray[np.float64]) -> None:
    """Raise TrainingError when (nearly) every picture gets one diagnosis although the truth is more varied."""
    called, true = (np.bincount(each, minlength=len(CODES)) / len(each) for each in (table.argmax(axis=1), labels))
    top = int(called.argmax())
    if called[top] > DEGENERATE_SHARE and true[top] <= DEGENERATE_SHARE:
        raise TrainingError(
            "collapsed",
            f"{called[top]:.0%} of the validation pictures are called {CODES[top]}, which {true[top]:.0%} of them are. "
            "Balance the diagnoses, or lower the learning rate.",
        )


def reporting(report: Report, done: int, total: int) -> Any:
    """A Keras callback that reports every batch; what the report raises ends the training after that batch."""
    import keras

    class Reporting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            if not np.isfinite(figures.get("loss", 0.0)):
                raise TrainingError("diverged", DIVERGED)
            report(Progress("fine-tune", done + batch + 1, total, figures))

    return Reporting()


def run_key_of(recipe: Recipe, labels: Mapping[str, NDArray[np.integer]], teachers: Sequence[Bundle] = ()) -> str:
    """Names what a checkpoint belongs to: the recipe without its words, the labels in order, and the teachers."""
    described = json.dumps(recipe.identity(), sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for split in sorted(labels):
        digest.update(np.asarray(labels[split], dtype=np.int64).tobytes())
    for teacher in teachers:
        digest.update(teacher.sha256.encode())
    return digest.hexdigest()


def run_state(run_key: str, history: History) -> dict[str, Any]:
    return {
        "run": run_key,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "best_score": history.best_score,
    }


def resumed(
    state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], run_key: str, run_folder: Path
) -> tuple[History, dict[str, NDArray[Any]]]:
    """History and best weights of a checkpoint; raises TrainingError when it belongs to another run."""
    if state["run"] != run_key:
        raise TrainingError("other_run", f"The folder {run_folder.name} holds a run of another recipe or data set.")
    history = History(list(state["epochs"]), int(state["best_epoch"]), float(state["best_score"]))
    return history, group(tensors, "best/")


def numbered(prefix: str, variables: Sequence[Any]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{number}": numpy_of(variable) for number, variable in enumerate(variables)}


def assign(variables: Sequence[Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Inverse of `numbered`. Nothing happens without tensors: checkpoints from before seeds were kept have none."""
    if tensors:
        for number, variable in enumerate(variables):
            variable.assign(np.reshape(tensors[f"{number}"], tuple(variable.shape)))


def group(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def frozen_prefixes(blocks: int) -> tuple[str, ...]:
    """What the names of the layers begin with that a recipe's `frozen_blocks` holds."""
    return ("stem_", *(f"block{number}" for number in range(1, blocks))) if blocks else ()
