"""Own fitting: the dense head on cached features, and fine-tuning the whole network, in Keras 3 on any backend.

Data come in as NumPy (no tf.data, no tf.image), so the TensorFlow and JAX backends run the same code. Both phases
read top to bottom in one function; every epoch is a progress report, a cancel check and (fine-tuning) a checkpoint.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diagnoses.inference.network import (
    BLOCK7B_GAMMA,
    build_head,
    network_tensors,
    set_network_tensors,
)
from diagnoses.inference.preprocessing import to_input
from diagnoses.inference.runtime import softmax
from diagnoses.taxonomy import CODES
from training.pipeline.augment import augmented
from training.pipeline.checkpoints import load_checkpoint, save_checkpoint
from training.pipeline.device import jit_choice
from training.pipeline.metrics import balanced_accuracy, log_loss
from training.pipeline.progress import Progress, Report, silent
from training.recipes import ClassBalance, FineTunePhase, FrozenPhase, Recipe

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH: Final = 32

PLATEAU_MIN_DELTA: Final = 1e-4
"""A validation loss counts as fallen when it is lower by this much: Keras's default of ReduceLROnPlateau."""

COLLAPSED_SHARE: Final = 0.98
"""More validation pictures than this under one name, where the truth is more varied: nothing was learned."""

DIVERGED: Final = "The loss is no longer a number: the training diverged. Lower the learning rate and start again."
FEATURE_DEVIATION_MIN: Final = 1e-3
"""A feature that hardly varies over the training pictures is not blown up by its standardisation."""


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


def class_weights(labels: NDArray[np.integer], balance: ClassBalance) -> NDArray[np.float32]:
    """Loss weight of each row, (N,), mean 1: in proportion to (pictures of its diagnosis)^-weight_power."""
    counts = np.maximum(np.bincount(labels, minlength=len(CODES)), 1)
    weights = (counts.astype(np.float64) ** -balance.weight_power)[labels]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def drawn_shares(labels: NDArray[np.integer], balance: ClassBalance) -> NDArray[np.float64]:
    """Share of each diagnosis among the pictures drawn, (8,): in proportion to n^(1 - sampling_power), 0 for none."""
    counts = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    shares = np.where(counts > 0, np.maximum(counts, 1.0) ** (1.0 - balance.sampling_power), 0.0)
    return np.asarray(shares / shares.sum())


def balanced_loss(shares: NDArray[np.float64], *, adjustment: float, smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross-entropy of one-hot labels and logits, with `adjustment` * log(share) added to the logits first."""
    import keras

    offsets = np.asarray(adjustment * np.log(np.maximum(shares, 1e-6)), dtype=np.float32)

    def loss(truth: Any, logits: Any) -> Any:
        return keras.losses.categorical_crossentropy(
            truth, logits + offsets, from_logits=True, label_smoothing=smoothing
        )

    return loss


def one_hot(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32 (N, 8)."""
    return np.asarray(np.eye(len(CODES), dtype=np.float32)[labels])


def learning_rate_after(validation_losses: Sequence[float], phase: FrozenPhase) -> float:
    """The learning rate of the next epoch, once these epochs are over (ReduceLROnPlateau, replayed from the history).

    A function of the history alone, so that a resumed run goes on with the schedule where it stood.
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
    run_folder: Path | None = None,
    continues: bool = False,
    report: Report = silent,
) -> History:
    """Train the network's dense head on its features and put it into the network.

    `features` and `labels` have the keys "train" and "validation": (N, C) and (N,). `continues` starts from the
    head the network has instead of a fresh one. With a `run_folder` every epoch leaves a checkpoint there and the phase
    goes on after the newest whole one. The best epoch by the recipe's `best_by` is kept. Raises TrainingError when the
    loss stops being a number, when the end calls nearly everything one diagnosis, or when the folder holds another run;
    whatever `report` raises passes through, the checkpoints stay.
    """
    import keras

    phase: FrozenPhase = recipe.frozen
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
        loss=balanced_loss(
            drawn_shares(labels["train"], ClassBalance()),
            adjustment=phase.balance.logit_adjustment,
            smoothing=phase.label_smoothing,
        ),
        jit_compile=jit_choice(),
    )
    optimizer.build(head.trainable_variables)
    weights = class_weights(labels["train"], phase.balance)
    history, first, best = History(), 0, network_tensors(head)
    run_key = _run_key(recipe, labels)
    if run_folder is not None and (checkpoint := load_checkpoint(run_folder)) is not None:
        epoch, tensors, state = checkpoint
        history, best = _resumed(state, tensors, run_key, run_folder)
        # With the seeds of dropout, which are state of the head too: what follows is what would have followed.
        _assign(head.variables, _group(tensors, "head/"))
        _assign(optimizer.variables, _group(tensors, "optimizer/"))
        first = epoch + 1

    for epoch in range(first, phase.epochs):
        if epoch - 1 - history.best_epoch >= phase.patience:
            break
        if phase.plateau_factor:
            optimizer.learning_rate = learning_rate_after([each["validation_loss"] for each in history.epochs], phase)
        order = _epoch_order(labels["train"], phase.balance, len(weights), recipe.seed, epoch)
        fitted = head.fit(
            inputs["train"][order],
            one_hot(labels["train"][order]),
            sample_weight=weights[order],
            batch_size=phase.batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[_head_batches(report, epoch, phase.epochs)],
        )
        table = softmax(head.predict(inputs["validation"], batch_size=4096, verbose=0))
        figures = _figures(float(fitted.history["loss"][0]), labels["validation"], table)
        history.epochs.append(figures)
        score = figures["balanced_accuracy"] if phase.best_by == "balanced_accuracy" else -figures["validation_loss"]
        if score > history.best_score:
            history.best_score, history.best_epoch, best = score, epoch, network_tensors(head)
        if run_folder is not None:
            save_checkpoint(
                run_folder,
                epoch=epoch,
                tensors=_numbered("head", head.variables)
                | _numbered("optimizer", optimizer.variables)
                | {f"best/{key}": value for key, value in best.items()},
                state=_state(run_key, history),
            )
        report(Progress("head", epoch + 1, phase.epochs, figures))
    set_network_tensors(head, best)
    _refuse_collapse(labels["validation"], softmax(head.predict(inputs["validation"], batch_size=4096, verbose=0)))
    tensors = network_tensors(network) | _unstandardised(best, recipe, mean, deviation)
    set_network_tensors(network, tensors)
    return history


def fine_tune(
    network: "keras.Model",
    *,
    recipe: Recipe,
    references: Mapping[str, Sequence[Image.Image]],
    labels: Mapping[str, NDArray[np.integer]],
    run_folder: Path,
    report: Report = silent,
) -> History:
    """Train the network itself, from the weights it has, resuming from `run_folder` when a checkpoint is there.

    `references` and `labels` have the keys "train" and "validation": RGB pictures at reference scale, and (N,).
    Afterwards the network holds the (averaged) weights of its best epoch by validation balanced accuracy.
    Raises TrainingError when the loss stops being a number, when every validation picture gets one diagnosis at the
    end, or when the folder holds another run; whatever `report` raises passes through, the checkpoints stay.
    """
    import keras

    phase = recipe.fine_tune
    if phase is None:
        raise ValueError(f"The recipe {recipe.name} has no fine-tuning phase.")
    keras.utils.set_random_seed(recipe.seed)
    size = recipe.architecture.input_size
    drawn = phase.pictures_per_epoch or len(labels["train"])
    steps = max(1, drawn // phase.batch_size)
    total = steps * phase.epochs
    model = _trainable_model(network, phase)
    optimizer = _averaging_adamw(phase, total)
    model.compile(
        optimizer=optimizer,
        loss=balanced_loss(
            drawn_shares(labels["train"], phase.balance),
            adjustment=phase.balance.logit_adjustment,
            smoothing=phase.label_smoothing,
        ),
        jit_compile=jit_choice(),
    )
    optimizer.build(model.trainable_variables)
    validation = np.stack([to_input(picture, input_size=size) for picture in references["validation"]])
    weights = class_weights(labels["train"], phase.balance)

    history, first, best = History(), 0, network_tensors(network)
    run_key = _run_key(recipe, labels)
    if (checkpoint := load_checkpoint(run_folder)) is not None:
        epoch, tensors, state = checkpoint
        history, best = _resumed(state, tensors, run_key, run_folder)
        set_network_tensors(network, _group(tensors, "network/"))
        _assign(optimizer.variables, _group(tensors, "optimizer/"))
        _assign(_seeds(model), _group(tensors, "seeds/"))
        first = epoch + 1

    for epoch in range(first, phase.epochs):
        order = _epoch_order(labels["train"], phase.balance, steps * phase.batch_size, recipe.seed, epoch)
        batches = _batches(
            references["train"], labels["train"], weights=weights, order=order, recipe=recipe, phase=phase, epoch=epoch
        )
        fitted = model.fit(batches, shuffle=False, verbose=0, callbacks=[_reporting(report, epoch * steps, total)])
        loss = float(fitted.history["loss"][0])
        plain = network_tensors(network)
        optimizer.take_average(model.trainable_variables)
        averaged = network_tensors(network)
        table = softmax(model.predict(validation, batch_size=EVALUATION_BATCH, verbose=0))
        figures = _figures(loss, labels["validation"], table)
        history.epochs.append(figures)
        if figures["balanced_accuracy"] > history.best_score:
            history.best_score, history.best_epoch, best = figures["balanced_accuracy"], epoch, averaged
        set_network_tensors(network, plain)
        save_checkpoint(
            run_folder,
            epoch=epoch,
            tensors={
                **{f"network/{key}": value for key, value in plain.items()},
                **{f"best/{key}": value for key, value in best.items()},
                **_numbered("optimizer", optimizer.variables),
                **_numbered("seeds", _seeds(model)),
            },
            state=_state(run_key, history),
        )
        report(Progress("fine-tune", (epoch + 1) * steps, total, figures))

    set_network_tensors(network, best)
    table = softmax(model.predict(validation, batch_size=EVALUATION_BATCH, verbose=0))
    _refuse_collapse(labels["validation"], table)
    return history


def _refuse_collapse(labels: NDArray[np.integer], table: NDArray[np.float64]) -> None:
    """Raise TrainingError when (nearly) every picture gets one diagnosis although the truth is more varied."""
    called, true = (np.bincount(each, minlength=len(CODES)) / len(each) for each in (table.argmax(axis=1), labels))
    top = int(called.argmax())
    if called[top] > COLLAPSED_SHARE and true[top] <= COLLAPSED_SHARE:
        raise TrainingError(
            "collapsed",
            f"{called[top]:.0%} of the validation pictures are called {CODES[top]}, which {true[top]:.0%} of them are. "
            "Balance the diagnoses, or lower the learning rate.",
        )


def _resumed(
    state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], run_key: str, run_folder: Path
) -> tuple[History, dict[str, NDArray[Any]]]:
    """History and best weights of a checkpoint; raises TrainingError when it belongs to another run."""
    if state["run"] != run_key:
        raise TrainingError("other_run", f"The folder {run_folder.name} holds a run of another recipe or data set.")
    history = History(list(state["epochs"]), int(state["best_epoch"]), float(state["best_score"]))
    return history, _group(tensors, "best/")


def _state(run_key: str, history: History) -> dict[str, Any]:
    return {
        "run": run_key,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "best_score": history.best_score,
    }


def _seeds(model: "keras.Model") -> list[Any]:
    """The states of the random generators inside the model (dropout, stochastic depth), in its own order."""
    return [variable for variable in model.variables if "seed_generator" in variable.path]


def _numbered(prefix: str, variables: Sequence[Any]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{number}": np.asarray(variable.numpy()) for number, variable in enumerate(variables)}


def _assign(variables: Sequence[Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Inverse of `_numbered`. Nothing happens without tensors: checkpoints from before seeds were kept have none."""
    if tensors:
        for number, variable in enumerate(variables):
            variable.assign(np.reshape(tensors[f"{number}"], tuple(variable.shape)))


def _frozen_optimizer(phase: FrozenPhase) -> Any:
    import keras

    moments = {"beta_1": phase.beta_1, "beta_2": phase.beta_2, "epsilon": phase.epsilon}
    if phase.optimizer == "adam":
        return keras.optimizers.Adam(phase.learning_rate, **moments)
    return keras.optimizers.AdamW(phase.learning_rate, weight_decay=phase.weight_decay, **moments)


def _figures(loss: float, labels: NDArray[np.integer], table: NDArray[np.float64]) -> dict[str, float]:
    if not np.isfinite(loss):
        raise TrainingError("diverged", DIVERGED)
    return {
        "loss": loss,
        "validation_loss": log_loss(labels, table),
        "balanced_accuracy": balanced_accuracy(labels, table),
    }


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
    """Inverse of `_unstandardised`: the head that says of standardised features what this one says of plain ones."""
    first = recipe.architecture.head_layers[0]
    kernel, bias = tensors[f"{first}/kernel"], tensors[f"{first}/bias"]
    shift = np.broadcast_to(mean, (kernel.shape[0],)) @ kernel
    scaled = kernel * np.broadcast_to(deviation, (kernel.shape[0],))[:, None]
    return tensors | {f"{first}/kernel": scaled.astype(np.float32), f"{first}/bias": (bias + shift).astype(np.float32)}


def _epoch_order(
    labels: NDArray[np.integer], balance: ClassBalance, drawn: int, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Rows of one epoch, (drawn,), in the order of training.

    Each diagnosis is drawn as often as its share says, from a shuffled cycle that goes on from epoch to epoch, so that
    no picture comes twice before all of its diagnosis have come once.
    """
    shares = drawn_shares(labels, balance)
    quota = np.floor(np.cumsum(shares) * drawn + 0.5).astype(np.int64)
    counts = np.diff(np.r_[0, quota])
    chosen = []
    for position, count in enumerate(counts):
        rows = np.flatnonzero(labels == position)
        first, last = epoch * count, (epoch + 1) * count
        while first < last:
            cycle, place = divmod(int(first), len(rows))
            shuffled = np.random.default_rng([seed, position, cycle]).permutation(rows)
            taken = shuffled[place : place + int(last - first)]
            chosen.append(taken)
            first += len(taken)
    order = np.concatenate(chosen)
    return np.asarray(np.random.default_rng([seed, 101, epoch]).permutation(order))


def _trainable_model(network: "keras.Model", phase: FineTunePhase) -> "keras.Model":
    """The network with its logits alone as output, BatchNorm and the first blocks frozen."""
    import keras

    frozen = _frozen_prefixes(phase.frozen_blocks)
    for layer in network.layers:
        layer.trainable = not (
            isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Normalization))
            or layer.name.startswith(frozen)
        )
    for layer in network.layers:
        for variable in layer.weights:
            if f"{layer.name}/{variable.name}" == BLOCK7B_GAMMA and not np.any(variable.numpy()):
                variable.assign(np.full(tuple(variable.shape), phase.block7b_gamma, dtype=np.float32))
    return keras.Model(network.inputs, network.outputs[0])


def _frozen_prefixes(blocks: int) -> tuple[str, ...]:
    return ("stem_", *(f"block{number}" for number in range(1, blocks))) if blocks else ()


def _averaging_adamw(phase: FineTunePhase, total_steps: int) -> Any:
    """AdamW on a warm-up and cosine schedule that keeps a running average of the weights inside its own step."""
    import keras

    warmup = max(1, round(phase.warmup_share * total_steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, total_steps - warmup),
        warmup_target=phase.learning_rate,
        warmup_steps=warmup,
    )

    class AveragingAdamW(keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
        def finalize_variable_values(self, var_list: Any) -> None:
            """Nothing: `fit` calls this after every epoch, and would replace the weights by their average."""

        def take_average(self, variables: Any) -> None:
            """Replace the weights by their running average, if one is kept."""
            super().finalize_variable_values(variables)

    optimizer = AveragingAdamW(
        schedule,
        weight_decay=phase.weight_decay,
        global_clipnorm=phase.clip_norm,
        use_ema=phase.ema_momentum > 0.0,
        ema_momentum=phase.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _batches(
    references: Sequence[Image.Image],
    labels: NDArray[np.integer],
    *,
    weights: NDArray[np.float32],
    order: NDArray[np.int64],
    recipe: Recipe,
    phase: FineTunePhase,
    epoch: int,
) -> Any:
    """A Keras data set of augmented batches; what a picture looks like depends on seed, epoch and place alone."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return len(order) // phase.batch_size

        def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
            rows = order[index * phase.batch_size : (index + 1) * phase.batch_size]
            generator = np.random.default_rng([recipe.seed, 202, epoch, index])
            pixels = np.stack(
                [
                    augmented(
                        references[row],
                        input_size=recipe.architecture.input_size,
                        augmentation=phase.augmentation,
                        generator=generator,
                    )
                    for row in rows
                ]
            )
            return pixels, one_hot(labels[rows]), weights[rows]

    return Batches()


def _reporting(report: Report, done: int, total: int) -> Any:
    """A Keras callback that reports every batch; what the report raises ends the training after that batch."""
    import keras

    class Reporting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            if not np.isfinite(figures.get("loss", 0.0)):
                raise TrainingError("diverged", DIVERGED)
            report(Progress("fine-tune", done + batch + 1, total, figures))

    return Reporting()


def _head_batches(report: Report, epoch: int, epochs: int) -> Any:
    """As `_reporting`, for the head: its unit is the epoch, a batch is only an opportunity to stop."""

    def batch(progress: Progress) -> None:
        report(Progress("head", epoch, epochs))

    return _reporting(batch, 0, 1)


def _run_key(recipe: Recipe, labels: Mapping[str, NDArray[np.integer]]) -> str:
    """Names what a checkpoint belongs to: the recipe without its words, and the labels in order."""
    described = json.dumps(recipe.identity(), sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for split in sorted(labels):
        digest.update(np.asarray(labels[split], dtype=np.int64).tobytes())
    return digest.hexdigest()


def _group(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
