"""Fitting of the dense head on cached features: the frozen phase of a training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.fit.balance import balanced_loss, class_weights, epoch_order, logit_offsets, targets
from recognition.fit.checkpoints import load_checkpoint, save_checkpoint
from recognition.fit.device import jit_choice
from recognition.fit.training_state import (
    History,
    assign,
    epoch_figures,
    group,
    numbered,
    refuse_degenerate_output,
    reporting,
    resumed,
    run_key_of,
    run_state,
)
from recognition.inference.calibration import softmax
from recognition.inference.network import build_head, network_tensors, set_network_tensors
from recognition.progress import Progress, Report, silent
from recognition.recipes import FrozenPhase, Recipe
from recognition.taxonomy import CODES

if TYPE_CHECKING:
    import keras

PLATEAU_MIN_DELTA: Final = 1e-4
"""Least decrease of the validation loss that counts: the default of Keras's ReduceLROnPlateau."""

FEATURE_DEVIATION_MIN: Final = 1e-3
"""Least standard deviation of a feature: standardisation must not amplify a nearly constant one."""


def learning_rate_after(validation_losses: Sequence[float], phase: FrozenPhase) -> float:
    """The learning rate of the next epoch, from the validation losses so far (as ReduceLROnPlateau of Keras).

    It depends on the history alone, so a resumed run has the same schedule.
    """
    rate, best, waited = phase.learning_rate, np.inf, 0
    if not phase.plateau_factor:
        return rate
    for loss in validation_losses:
        if loss < best - PLATEAU_MIN_DELTA:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= phase.plateau_patience:
            rate, waited = max(rate * phase.plateau_factor, phase.learning_rate_min), 0
    return rate


def fit_head(
    network: "keras.Model",
    *,
    recipe: Recipe,
    features: Mapping[str, NDArray[np.float32]],
    labels: Mapping[str, NDArray[np.integer]],
    sources: NDArray[np.integer] | None = None,
    run_folder: Path | None = None,
    continues: bool = False,
    report: Report = silent,
) -> History:
    """Train the network's dense head on cached features and put it into the network.

    `features` and `labels` have the keys "train" and "validation": (N, C) and (N,). `sources` (N,) numbers the source
    of each training picture; None: all are of one. `continues` starts from the network's head instead of a new one.
    With a `run_folder` every epoch writes a checkpoint there, and the phase continues after the newest complete one.
    The best epoch by the recipe's `best_by` is kept. The history also has both accuracies: of training, as Keras counts
    it during the epoch with dropout on, and of validation.

    Raises TrainingError "diverged" when the loss is not finite, "collapsed" when (nearly) all validation pictures get
    one diagnosis at the end, "other_run" when the folder has another run. What `report` raises passes through; the
    checkpoints stay.
    """
    import keras

    phase: FrozenPhase = recipe.frozen
    sources = np.zeros_like(labels["train"]) if sources is None else sources
    keras.utils.set_random_seed(recipe.seed)
    mean, deviation = _moments(features["train"]) if phase.standardise else (np.float32(0.0), np.float32(1.0))
    inputs = {split: (table - mean) / deviation for split, table in features.items()}
    head = build_head(recipe.architecture, features["train"].shape[1])
    if continues:
        of_head = tuple(f"{name}/" for name in recipe.architecture.head_layers)
        kept = {key: value for key, value in network_tensors(network).items() if key.startswith(of_head)}
        set_network_tensors(head, _standardised(kept, recipe, mean, deviation))
    optimizer = _frozen_optimizer(phase)
    head.compile(
        optimizer=optimizer,
        loss=balanced_loss(smoothing=phase.label_smoothing, focal_gamma=phase.balance.focal_gamma),
        metrics=[_accuracy()],
        jit_compile=jit_choice(),
    )
    optimizer.build(head.trainable_variables)
    weights = class_weights(labels["train"], phase.balance)
    truth = targets(labels["train"], logit_offsets(labels["train"], sources, phase.balance))
    history, first, best = History(), 0, network_tensors(head)
    run_key = run_key_of(recipe, labels, sources)
    if run_folder is not None and (checkpoint := load_checkpoint(run_folder)) is not None:
        epoch, tensors, state = checkpoint
        history, best = resumed(state, tensors, run_key, run_folder)
        # Includes the seeds of dropout, so that the resumed run gives the same result.
        assign(head.variables, group(tensors, "head/"))
        assign(optimizer.variables, group(tensors, "optimizer/"))
        first = epoch + 1

    for epoch in range(first, phase.epochs):
        if epoch - 1 - history.best_epoch >= phase.patience:
            break
        if phase.plateau_factor:
            optimizer.learning_rate = learning_rate_after([each["validation_loss"] for each in history.epochs], phase)
        order = epoch_order(labels["train"], sources, phase.balance, drawn=len(weights), seed=recipe.seed, epoch=epoch)
        fitted = head.fit(
            inputs["train"][order],
            truth[order],
            sample_weight=weights[order],
            batch_size=phase.batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[_head_batches(report, epoch, phase.epochs)],
        )
        table = softmax(head.predict(inputs["validation"], batch_size=4096, verbose=0))
        figures = epoch_figures(float(fitted.history["loss"][0]), labels["validation"], table)
        figures["accuracy"] = float(fitted.history["accuracy"][0])
        figures["validation_accuracy"] = float((table.argmax(axis=1) == labels["validation"]).mean())
        history.epochs.append(figures)
        score = figures["balanced_accuracy"] if phase.best_by == "balanced_accuracy" else -figures["validation_loss"]
        if score > history.best_score:
            history.best_score, history.best_epoch, best = score, epoch, network_tensors(head)
        if run_folder is not None:
            save_checkpoint(
                run_folder,
                epoch=epoch,
                tensors=numbered("head", head.variables)
                | numbered("optimizer", optimizer.variables)
                | {f"best/{key}": value for key, value in best.items()},
                state=run_state(run_key, history),
            )
        report(Progress("head", epoch + 1, phase.epochs, figures))
    set_network_tensors(head, best)
    refuse_degenerate_output(
        labels["validation"], softmax(head.predict(inputs["validation"], batch_size=4096, verbose=0))
    )
    tensors = network_tensors(network) | _unstandardised(best, recipe, mean, deviation)
    set_network_tensors(network, tensors)
    return history


def _accuracy() -> Callable[[Any, Any], Any]:
    """The metric of `targets` and logits (N, 8), without the logit offsets."""
    import keras

    def accuracy(truth: Any, logits: Any) -> Any:
        return keras.metrics.categorical_accuracy(truth[:, : len(CODES)], logits)

    return accuracy


def _frozen_optimizer(phase: FrozenPhase) -> Any:
    import keras

    moments = {"beta_1": phase.beta_1, "beta_2": phase.beta_2, "epsilon": phase.epsilon}
    if phase.optimizer == "adam":
        return keras.optimizers.Adam(phase.learning_rate, **moments)
    return keras.optimizers.AdamW(phase.learning_rate, weight_decay=phase.weight_decay, **moments)


def _moments(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    deviation = np.maximum(features.std(axis=0), FEATURE_DEVIATION_MIN)
    return features.mean(axis=0), np.asarray(deviation, dtype=np.float32)


def _unstandardised(tensors: dict[str, NDArray[np.float32]], recipe: Recipe, mean: Any, deviation: Any) -> Any:
    """The head's weights with the standardisation folded into the first dense layer: (x - m) / d @ K + b."""
    first = recipe.architecture.head_layers[0]
    kernel, bias = tensors[f"{first}/kernel"], tensors[f"{first}/bias"]
    scaled = kernel / np.broadcast_to(deviation, (kernel.shape[0],))[:, None]
    shift = np.broadcast_to(mean, (kernel.shape[0],)) @ scaled
    return tensors | {f"{first}/kernel": scaled.astype(np.float32), f"{first}/bias": (bias - shift).astype(np.float32)}


def _standardised(tensors: dict[str, NDArray[np.float32]], recipe: Recipe, mean: Any, deviation: Any) -> Any:
    """Inverse of `_unstandardised`: the same head for standardised features."""
    first = recipe.architecture.head_layers[0]
    kernel, bias = tensors[f"{first}/kernel"], tensors[f"{first}/bias"]
    shift = np.broadcast_to(mean, (kernel.shape[0],)) @ kernel
    scaled = kernel * np.broadcast_to(deviation, (kernel.shape[0],))[:, None]
    return tensors | {f"{first}/kernel": scaled.astype(np.float32), f"{first}/bias": (bias + shift).astype(np.float32)}


def _head_batches(report: Report, epoch: int, epochs: int) -> Any:
    """As `reporting`, for the head: progress counts epochs; after each batch the run can be stopped."""

    def batch(progress: Progress) -> None:
        report(Progress("head", epoch, epochs))

    return reporting(batch, 0, 1)
