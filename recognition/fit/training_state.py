"""The training state of a run, in both phases: history, metrics of an epoch, reports, the state in a checkpoint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import balanced_accuracy, log_loss
from recognition.inference.network import numpy_of
from recognition.progress import Progress, Report
from recognition.recipes import Recipe
from recognition.taxonomy import CODES

DEGENERATE_SHARE: Final = 0.98
"""Largest share of validation pictures that one diagnosis may get; above it the output is degenerate."""

DIVERGED: Final = "The loss is no longer a number: the training diverged. Lower the learning rate and start again."


class TrainingError(Exception):
    """The run cannot continue. `code`: "diverged", "collapsed" (degenerate output) or "other_run"."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(slots=True)
class History:
    """The metrics of each epoch, in order. `best_epoch` counts from 0; it is -1 before the first epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: float = -np.inf

    def add(self, figures: dict[str, float], *, keeps_last: bool) -> bool:
        """Add an epoch. Returns whether to keep its weights: if it is the best so far, or always with `keeps_last`."""
        self.epochs.append(figures)
        if not keeps_last and figures["balanced_accuracy"] <= self.best_score:
            return False
        self.best_score, self.best_epoch = figures["balanced_accuracy"], len(self.epochs) - 1
        return True


def epoch_figures(loss: float, labels: NDArray[np.integer], table: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of an epoch; `table` are validation probabilities (N, 8). Raises TrainingError (diverged)."""
    if not np.isfinite(loss):
        raise TrainingError("diverged", DIVERGED)
    return {
        "loss": loss,
        "validation_loss": log_loss(labels, table),
        "balanced_accuracy": balanced_accuracy(labels, table),
    }


def refuse_degenerate_output(labels: NDArray[np.integer], table: NDArray[np.float64]) -> None:
    """Raise TrainingError when (nearly) all pictures get one diagnosis and the labels (N,) are more varied.

    `table` are probabilities (N, 8).
    """
    called, true = (np.bincount(each, minlength=len(CODES)) / len(each) for each in (table.argmax(axis=1), labels))
    top = int(called.argmax())
    if called[top] > DEGENERATE_SHARE and true[top] <= DEGENERATE_SHARE:
        raise TrainingError(
            "collapsed",
            f"{called[top]:.0%} of the validation pictures are called {CODES[top]}, which {true[top]:.0%} of them are. "
            "Balance the diagnoses, or lower the learning rate.",
        )


def reporting(report: Report, done: int, total: int) -> Any:
    """A Keras callback that reports every batch. What the report raises ends the training after that batch."""
    import keras

    class Reporting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            if not np.isfinite(figures.get("loss", 0.0)):
                raise TrainingError("diverged", DIVERGED)
            report(Progress("fine-tune", done + batch + 1, total, figures))

    return Reporting()


def run_key_of(recipe: Recipe, labels: Mapping[str, NDArray[np.integer]], sources: NDArray[np.integer]) -> str:
    """sha256 (hex) of what a checkpoint belongs to: recipe (without its texts), labels and sources in order."""
    described = json.dumps(recipe.identity(), sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for split in sorted(labels):
        digest.update(np.asarray(labels[split], dtype=np.int64).tobytes())
    digest.update(np.asarray(sources, dtype=np.int64).tobytes())
    return digest.hexdigest()


def run_state(run_key: str, history: History) -> dict[str, Any]:
    """The state of a run for a checkpoint's JSON file; see `resumed`."""
    return {
        "run": run_key,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "best_score": history.best_score,
    }


def resumed(
    state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], run_key: str, run_folder: Path
) -> tuple[History, dict[str, NDArray[Any]]]:
    """History and best weights of a checkpoint. Raises TrainingError (other_run) if it belongs to another run."""
    if state["run"] != run_key:
        raise TrainingError("other_run", f"The folder {run_folder.name} holds a run of another recipe or data set.")
    history = History(list(state["epochs"]), int(state["best_epoch"]), float(state["best_score"]))
    return history, group(tensors, "best/")


def numbered(prefix: str, variables: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """The values of Keras variables by "prefix/number"."""
    return {f"{prefix}/{number}": numpy_of(variable) for number, variable in enumerate(variables)}


def assign(variables: Sequence[Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Inverse of `numbered`. Does nothing without tensors: old checkpoints have no seeds."""
    if tensors:
        for number, variable in enumerate(variables):
            variable.assign(np.reshape(tensors[f"{number}"], tuple(variable.shape)))


def group(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The tensors whose name begins with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def frozen_prefixes(blocks: int) -> tuple[str, ...]:
    """The name prefixes of the layers that `frozen_blocks` freezes."""
    return ("stem_", *(f"block{number}" for number in range(1, blocks))) if blocks else ()
