"""Own fitting: the dense head on cached features, and fine-tuning the whole network, in Keras 3 on any backend.

Data come in as NumPy (no tf.data, no tf.image), so the TensorFlow and JAX backends run the same code. Both phases
read top to bottom in one function; every epoch is a progress report, a cancel check and (fine-tuning) a checkpoint.
"""

import dataclasses
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
    return np.eye(len(CODES), dtype=np.float32)[labels]


def fit_head(
    network: "keras.Model",
    *,
    recipe: Recipe,
    features: Mapping[str, NDArray[np.float32]],
    labels: Mapping[str, NDArray[np.integer]],
    report: Report = silent,
) -> History:
    """Train the network's dense head on its features and put it into the network.

    `features` and `labels` have the keys "train" and "validation": (N, C) and (N,). The best epoch by the recipe's
    `best_by` is kept. Raises TrainingError when the loss stops being a number.
    """
    import keras

    phase: FrozenPhase = recipe.frozen
    keras.utils.set_random_seed(recipe.seed)
    mean, deviation = _moments(features["train"]) if phase.standardise else (np.float32(0.0), np.float32(1.0))
    inputs = {split: (table - mean) / deviation for split, table in features.items()}
    head = build_head(recipe.architecture, features["train"].shape[1])
    head.compile(
        optimizer=keras.optimizers.AdamW(phase.learning_rate, weight_decay=phase.weight_decay),
        loss=balanced_loss(
            drawn_shares(labels["train"], ClassBalance()),
            adjustment=phase.balance.logit_adjustment,
            smoothing=phase.label_smoothing,
        ),
        jit_compile=jit_choice(),
    )
    weights = class_weights(labels["train"], phase.balance)
    history = History()
    best = head.get_weights()
    for epoch in range(phase.epochs):
        order = _epoch_order(labels["train"], phase.balance, len(weights), recipe.seed, epoch)
        fitted = head.fit(
            inputs["train"][order],
            one_hot(labels["train"][order]),
            sample_weight=weights[order],
            batch_size=phase.batch_size,
            shuffle=False,
            verbose=0,
        )
        table = softmax(head.predict(inputs["validation"], batch_size=4096, verbose=0))
        figures = _figures(float(fitted.history["loss"][0]), labels["validation"], table)
        history.epochs.append(figures)
        score = figures["balanced_accuracy"] if phase.best_by == "balanced_accuracy" else -figures["validation_loss"]
        if score > history.best_score:
            history.best_score, history.best_epoch, best = score, epoch, head.get_weights()
        report(Progress("head", epoch + 1, phase.epochs, figures))
        if epoch - history.best_epoch >= phase.patience:
            break
    head.set_weights(best)
    tensors = network_tensors(network) | _unstandardised(network_tensors(head), recipe, mean, deviation)
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
        if state["run"] != run_key:
            raise TrainingError("other_run", f"The folder {run_folder.name} holds a run of another recipe or data set.")
        set_network_tensors(network, _group(tensors, "network/"))
        for number, variable in enumerate(optimizer.variables):
            variable.assign(tensors[f"optimizer/{number}"])
        best = _group(tensors, "best/")
        history = History(list(state["epochs"]), int(state["best_epoch"]), float(state["best_score"]))
        first = epoch + 1

    for epoch in range(first, phase.epochs):
        order = _epoch_order(labels["train"], phase.balance, steps * phase.batch_size, recipe.seed, epoch)
        batches = _batches(
            references["train"], labels["train"], weights=weights, order=order, recipe=recipe, phase=phase, epoch=epoch
        )
        fitted = model.fit(batches, shuffle=False, verbose=0, callbacks=[_reporting(report, epoch * steps, total)])
        loss = float(fitted.history["loss"][0])
        if not np.isfinite(loss):
            raise TrainingError("diverged", f"The loss of epoch {epoch + 1} is not a number; lower the learning rate.")
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
                **{
                    f"optimizer/{number}": keras.ops.convert_to_numpy(variable)
                    for number, variable in enumerate(optimizer.variables)
                },
            },
            state={
                "run": run_key,
                "epochs": history.epochs,
                "best_epoch": history.best_epoch,
                "best_score": history.best_score,
            },
        )
        report(Progress("fine-tune", (epoch + 1) * steps, total, figures))

    set_network_tensors(network, best)
    table = softmax(model.predict(validation, batch_size=EVALUATION_BATCH, verbose=0))
    if len(np.unique(table.argmax(axis=1))) == 1 and len(np.unique(labels["validation"])) > 1:
        raise TrainingError("collapsed", f"Every validation picture is called {CODES[int(table[0].argmax())]}.")
    return history


def _figures(loss: float, labels: NDArray[np.integer], table: NDArray[np.float64]) -> dict[str, float]:
    if not np.isfinite(loss):
        raise TrainingError("diverged", "The loss is not a number; lower the learning rate.")
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

    class AveragingAdamW(keras.optimizers.AdamW):
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

    class Batches(keras.utils.PyDataset):
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

    class Reporting(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            report(Progress("fine-tune", done + batch + 1, total, figures))

    return Reporting()


def _run_key(recipe: Recipe, labels: Mapping[str, NDArray[np.integer]]) -> str:
    """Names what a checkpoint belongs to: the recipe without its words, and the labels in order."""
    described = json.dumps(dataclasses.asdict(dataclasses.replace(recipe, expected="")), sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for split in sorted(labels):
        digest.update(np.asarray(labels[split], dtype=np.int64).tobytes())
    return digest.hexdigest()


def _group(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
