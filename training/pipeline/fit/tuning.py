"""Own fine-tuning the whole network: blocks unfrozen, BatchNorm frozen, weights averaged, resumable every epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diagnoses.inference.network import BLOCK7B_GAMMA, network_tensors, set_network_tensors
from diagnoses.inference.preprocessing import to_input
from diagnoses.inference.runtime import softmax
from training.pipeline.augment import augmented
from training.pipeline.checkpoints import load_checkpoint, save_checkpoint
from training.pipeline.device import jit_choice
from training.pipeline.fit.balance import balanced_loss, class_weights, drawn_shares, epoch_order, one_hot
from training.pipeline.fit.course import (
    History,
    assign,
    epoch_figures,
    group,
    numbered,
    refuse_collapse,
    reporting,
    resumed,
    run_key_of,
    run_state,
)
from training.pipeline.progress import Progress, Report, silent
from training.recipes import FineTunePhase, Recipe

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH: Final = 32


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
    run_key = run_key_of(recipe, labels)
    if (checkpoint := load_checkpoint(run_folder)) is not None:
        epoch, tensors, state = checkpoint
        history, best = resumed(state, tensors, run_key, run_folder)
        set_network_tensors(network, group(tensors, "network/"))
        assign(optimizer.variables, group(tensors, "optimizer/"))
        assign(_seeds(model), group(tensors, "seeds/"))
        first = epoch + 1

    for epoch in range(first, phase.epochs):
        order = epoch_order(labels["train"], phase.balance, steps * phase.batch_size, recipe.seed, epoch)
        batches = _batches(
            references["train"], labels["train"], weights=weights, order=order, recipe=recipe, phase=phase, epoch=epoch
        )
        fitted = model.fit(batches, shuffle=False, verbose=0, callbacks=[reporting(report, epoch * steps, total)])
        loss = float(fitted.history["loss"][0])
        plain = network_tensors(network)
        optimizer.take_average(model.trainable_variables)
        averaged = network_tensors(network)
        table = softmax(model.predict(validation, batch_size=EVALUATION_BATCH, verbose=0))
        figures = epoch_figures(loss, labels["validation"], table)
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
                **numbered("optimizer", optimizer.variables),
                **numbered("seeds", _seeds(model)),
            },
            state=run_state(run_key, history),
        )
        report(Progress("fine-tune", (epoch + 1) * steps, total, figures))

    set_network_tensors(network, best)
    table = softmax(model.predict(validation, batch_size=EVALUATION_BATCH, verbose=0))
    refuse_collapse(labels["validation"], table)
    return history


def _seeds(model: "keras.Model") -> list[Any]:
    """The states of the random generators inside the model (dropout, stochastic depth), in its own order."""
    return [variable for variable in model.variables if "seed_generator" in variable.path]


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
            # Under JAX an assignment shares the array, and Keras gives the model's arrays away in its next call: the
            # optimiser would be left with an average that has been deleted.
            for variable in variables:
                variable.assign(np.array(variable.numpy()))

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
