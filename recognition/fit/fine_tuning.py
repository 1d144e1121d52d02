"""Fine-tuning of the whole network: blocks unfrozen, weights averaged, resumable after every epoch.

A copy of the network is trained, in the precision and on the devices of the recipe. The network itself stays float32 on
one device and gets the best weights at the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.fit.averaging import averaging_optimizer
from recognition.fit.balance import balanced_loss, class_weights, epoch_order, logit_offsets, targets
from recognition.fit.batches import batches, own_errors, validation_batches
from recognition.fit.checkpoints import load_checkpoint, save_checkpoint
from recognition.fit.device import (
    computing_in,
    jit_choice,
    precision_for,
    require_even_shares,
    spread_over,
    training_devices,
)
from recognition.fit.learning_pictures import References
from recognition.fit.norms import FROZEN, measure_norms, measuring_batches
from recognition.fit.training_state import (
    History,
    assign,
    epoch_figures,
    frozen_prefixes,
    group,
    numbered,
    refuse_degenerate_output,
    reporting,
    resumed,
    run_key_of,
    run_state,
)
from recognition.inference.calibration import softmax
from recognition.inference.network import BLOCK7B_GAMMA, build_network, network_tensors, numpy_of, set_network_tensors
from recognition.progress import Progress, Report, silent
from recognition.recipes import FineTunePhase, Recipe

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH: Final = 32

FLOAT16: Final = "mixed_float16"


def fine_tune(
    network: "keras.Model",
    *,
    recipe: Recipe,
    references: Mapping[str, References],
    labels: Mapping[str, NDArray[np.integer]],
    sources: NDArray[np.integer] | None = None,
    run_folder: Path,
    devices: Sequence[str] | None = None,
    report: Report = silent,
) -> History:
    """Train the whole network from its current weights, or from the checkpoint in `run_folder` if there is one.

    `references` and `labels` have the keys "train" and "validation": RGB pictures at reference scale (see
    `learning_pictures`), and (N,). `sources` (N,) numbers the source of each training picture; None: all are of one.
    `devices` are device names of the backend, by default those of the recipe. At the end the network has the averaged
    weights of its best epoch by balanced accuracy on the validation split; of its last epoch if the recipe learns the
    validation split as well.

    Raises RecipeError when a batch cannot be shared evenly among the devices; ValueError without a fine-tuning phase;
    TrainingError "diverged" when the loss is not finite, "collapsed" when (nearly) all validation pictures get one
    diagnosis at the end, "other_run" when the folder has another run. What `report` raises, and what reading
    `references` raises, passes through; the checkpoints stay.
    """
    import keras

    phase = recipe.fine_tune
    if phase is None:
        raise ValueError(f"The recipe {recipe.name} has no fine-tuning phase.")
    sources = np.zeros_like(labels["train"]) if sources is None else sources
    devices = training_devices(recipe.devices) if devices is None else tuple(devices)
    require_even_shares(phase.batch_size, devices)
    keras.utils.set_random_seed(recipe.seed)
    steps = max(1, (phase.pictures_per_epoch or len(labels["train"])) // phase.batch_size)
    total = steps * phase.epochs
    with spread_over(devices):
        trained = _TrainingCopy(network, recipe=recipe, phase=phase)
        optimizer, averaging = trained.compiled(total, devices=devices)
        size = recipe.architecture.input_size
        shares = max(len(devices), 1)
        validation = validation_batches(
            references["validation"],
            input_size=size,
            batch_size=shares * -(-EVALUATION_BATCH // shares),
        )
        weights = class_weights(labels["train"], phase.balance)
        truth = targets(labels["train"], logit_offsets(labels["train"], sources, phase.balance))

        history, first, best = History(), 0, trained.tensors()
        run_key = run_key_of(recipe, labels, sources)
        if (checkpoint := load_checkpoint(run_folder)) is not None:
            epoch, tensors, state = checkpoint
            history, best = resumed(state, tensors, run_key, run_folder)
            trained.take(group(tensors, "network/"))
            assign(optimizer.variables, group(tensors, "optimizer/"))
            assign(trained.seeds, group(tensors, "seeds/"))
            first = epoch + 1

        for epoch in range(first, phase.epochs):
            order = epoch_order(
                labels["train"], sources, phase.balance, drawn=steps * phase.batch_size, seed=recipe.seed, epoch=epoch
            )
            drawn_now = batches(
                references["train"],
                truth,
                weights=weights,
                order=order,
                recipe=recipe,
                phase=phase,
                epoch=epoch,
            )
            with own_errors(drawn_now):
                fitted = trained.model.fit(
                    drawn_now, shuffle=False, verbose=0, callbacks=[reporting(report, epoch * steps, total)]
                )
            plain = trained.tensors()
            averaging.take_average(trained.model.trainable_variables)
            trained.measure_norms(measuring_batches(drawn_now, phase))
            averaged = trained.tensors()
            said = trained.probabilities(validation, len(labels["validation"]))
            figures = epoch_figures(float(fitted.history["loss"][0]), labels["validation"], said)
            if history.add(figures, keeps_last=phase.learn_validation):
                best = averaged
            trained.take(plain)
            save_checkpoint(
                run_folder,
                epoch=epoch,
                tensors={
                    **{f"network/{key}": value for key, value in plain.items()},
                    **{f"best/{key}": value for key, value in best.items()},
                    **numbered("optimizer", optimizer.variables),
                    **numbered("seeds", trained.seeds),
                },
                state=run_state(run_key, history),
            )
            report(Progress("fine-tune", (epoch + 1) * steps, total, figures))

        trained.take(best)
        refuse_degenerate_output(labels["validation"], trained.probabilities(validation, len(labels["validation"])))
    set_network_tensors(network, best)
    return history


class _TrainingCopy:
    """The copy of the network that is trained: logits only, first blocks frozen, BatchNorm as the recipe says."""

    def __init__(self, network: "keras.Model", *, recipe: Recipe, phase: FineTunePhase) -> None:
        import keras

        self._phase = phase
        self._policy = precision_for(recipe.precision)
        with computing_in(self._policy):
            self._network = build_network(recipe.architecture)
        set_network_tensors(self._network, network_tensors(network))
        frozen = frozen_prefixes(phase.frozen_blocks)
        held: tuple[Any, ...] = (keras.layers.Normalization,)
        if phase.batch_norm == FROZEN:
            held += (keras.layers.BatchNormalization,)
        for layer in self._network.layers:
            layer.trainable = not (isinstance(layer, held) or layer.name.startswith(frozen))
            for variable in layer.weights:
                if f"{layer.name}/{variable.name}" == BLOCK7B_GAMMA and not np.any(numpy_of(variable)):
                    variable.assign(np.full(tuple(variable.shape), phase.block7b_gamma, dtype=np.float32))
        self.model = keras.Model(self._network.inputs[0], self._network.outputs[0])

    def compiled(self, total_steps: int, *, devices: Sequence[str]) -> tuple[Any, Any]:
        """Compile the model. Returns the two optimisers of `averaging_optimizer`."""
        phase = self._phase
        optimizer, averaging = averaging_optimizer(phase, total_steps, scales_loss=self._policy == FLOAT16)
        self.model.compile(
            optimizer=optimizer,
            loss=balanced_loss(smoothing=phase.label_smoothing, focal_gamma=phase.balance.focal_gamma),
            jit_compile=jit_choice(devices),
        )
        optimizer.build(self.model.trainable_variables)
        return optimizer, averaging

    @property
    def seeds(self) -> list[Any]:
        """The states of the random generators in the model (dropout, stochastic depth), in the model's order."""
        return [variable for variable in self.model.variables if "seed_generator" in variable.path]

    def measure_norms(self, batches: Iterable[NDArray[np.float32]]) -> None:
        """Set the statistics of trained BatchNorm layers for the current weights, see `norms`."""
        measure_norms(self._network, batches)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The weights by name."""
        return network_tensors(self._network)

    def take(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Inverse of `tensors`."""
        set_network_tensors(self._network, tensors)

    def probabilities(self, batches: Any, count: int) -> NDArray[np.float64]:
        """The probabilities float64 (count, 8) for the first `count` pictures of `batches.validation_batches`."""
        with own_errors(batches):
            logits = np.asarray(self.model.predict(batches, verbose=0))
        return softmax(logits[:count])
