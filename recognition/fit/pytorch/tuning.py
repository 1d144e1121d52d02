"""Fine-tuning in PyTorch on one CPU: the steps of `fit.fine_tune`, in bfloat16.

Pictures, batches, balance, loss, schedule, averaging, checkpoints and the kept epoch are the same. Differences:

- if BatchNorm is frozen, its beta is trained (its statistics and gamma are frozen, as in Keras);
- convolutions compute in bfloat16; weights, optimiser, head and loss are float32;
- stochastic depth and dropout draw other random numbers, and the running average starts differently, so the metrics are
  similar but not equal.

Several devices and focal loss are not supported.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from recognition.fit.balance import class_weights, drawn_shares, epoch_order, logit_offsets
from recognition.fit.batches import batches, validation_batches
from recognition.fit.checkpoints import load_checkpoint, save_checkpoint
from recognition.fit.distillation import taught
from recognition.fit.learning_pictures import References
from recognition.fit.norms import TRAINED, measuring_batches
from recognition.fit.pytorch.network import EfficientNetB4
from recognition.fit.training_state import (
    DIVERGED,
    History,
    TrainingError,
    epoch_figures,
    frozen_prefixes,
    group,
    refuse_degenerate_output,
    resumed,
    run_key_of,
    run_state,
)
from recognition.inference.bundle import Bundle
from recognition.inference.calibration import softmax
from recognition.inference.network import BLOCK7B_GAMMA, network_tensors, set_network_tensors
from recognition.progress import Progress, Report, silent
from recognition.recipes import FineTunePhase, Recipe, RecipeError

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH: Final = 16
AVERAGED_EVERY: Final = 4
"""Steps between two updates of the running average; its momentum is that of so many steps."""


def fine_tune(
    network: "keras.Model",
    *,
    recipe: Recipe,
    references: Mapping[str, References],
    labels: Mapping[str, NDArray[np.integer]],
    run_folder: Path,
    teachers: Sequence[Bundle] = (),
    devices: Sequence[str] | None = None,
    report: Report = silent,
) -> History:
    """Fine-tune as `fit.fine_tune` does, see there. Raises RecipeError for what this engine does not support."""
    phase = recipe.fine_tune
    if phase is None:
        raise ValueError(f"The recipe {recipe.name} has no fine-tuning phase.")
    if recipe.architecture.backbone != "efficientnetb4" or recipe.architecture.head_units:
        raise RecipeError("The engine pytorch trains EfficientNetB4 with a linear head, nothing else.")
    if phase.balance.focal_gamma or devices:
        raise RecipeError("The engine pytorch has no focal loss and one device.")
    size = recipe.architecture.input_size
    tensors = network_tensors(network)
    if not np.any(tensors[BLOCK7B_GAMMA]):
        tensors[BLOCK7B_GAMMA] = np.full_like(tensors[BLOCK7B_GAMMA], phase.block7b_gamma)

    history, first, best = History(), 0, tensors
    run_key = f"{run_key_of(recipe, labels, teachers)}:pytorch"  # the Keras engine's checkpoints have another optimiser
    checkpoint = load_checkpoint(run_folder)
    if checkpoint is not None:
        epoch, kept, state = checkpoint
        history, best = resumed(state, kept, run_key, run_folder)
        tensors, first = group(kept, "network/"), epoch + 1
    steps = max(1, (phase.pictures_per_epoch or len(labels["train"])) // phase.batch_size)
    training = _TrainingState(
        tensors,
        recipe=recipe,
        phase=phase,
        steps=steps * phase.epochs,
        labels=labels["train"],
        teachers=[_teacher(each) for each in teachers],
    )
    if checkpoint is not None:
        training.resume(group(kept, "optimizer/"), group(kept, "average/"), done=first * steps)

    weights = class_weights(labels["train"], phase.balance)
    validation = validation_batches(references["validation"], input_size=size, batch_size=EVALUATION_BATCH)
    count = len(labels["validation"])
    for epoch in range(first, phase.epochs):
        torch.manual_seed(recipe.seed * 1000 + epoch)  # so that a resumed run draws the same random numbers
        order = epoch_order(labels["train"], phase.balance, steps * phase.batch_size, recipe.seed, epoch)
        drawn = batches(
            references["train"], labels["train"], weights=weights, order=order, recipe=recipe, phase=phase, epoch=epoch
        )
        losses: list[float] = []
        for batch in drawn:
            losses.append(training.step(*batch))
            if not np.isfinite(losses[-1]):
                raise TrainingError("diverged", DIVERGED)
            done = epoch * steps + len(losses)
            report(Progress("fine-tune", done, steps * phase.epochs, {"loss": float(np.mean(losses))}))
        training.average.measure_norms(map(_channels_first, measuring_batches(drawn, phase)))
        figures = epoch_figures(float(np.mean(losses)), labels["validation"], training.probabilities(validation, count))
        averaged = training.average.tensors()
        if history.add(figures, keeps_last=phase.learn_validation):
            best = averaged
        save_checkpoint(
            run_folder,
            epoch=epoch,
            tensors={
                **{f"network/{key}": value for key, value in training.network.tensors().items()},
                **{f"best/{key}": value for key, value in best.items()},
                **{f"optimizer/{key}": value for key, value in training.moments().items()},
                **{f"average/{key}": value for key, value in averaged.items()},
            },
            state=run_state(run_key, history),
        )
        report(Progress("fine-tune", (epoch + 1) * steps, steps * phase.epochs, figures))

    final = EfficientNetB4(best, head_dropout=0.0)
    refuse_degenerate_output(labels["validation"], _probabilities(final, validation, count))
    set_network_tensors(network, best)
    return history


class _TrainingState:
    """The network in training, its optimiser, and the network that holds the running average."""

    def __init__(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        *,
        recipe: Recipe,
        phase: FineTunePhase,
        steps: int,
        labels: NDArray[np.integer],
        teachers: Sequence[EfficientNetB4],
    ) -> None:
        self._phase, self._steps, self._done, self._teachers = phase, steps, 0, teachers
        self.network = _fast(EfficientNetB4(tensors, head_dropout=recipe.architecture.head_dropouts[-1]))
        self.average = _fast(EfficientNetB4(tensors, head_dropout=0.0))
        for each in (self.network, self.average):
            each.freeze(frozen_prefixes(phase.frozen_blocks))
            if phase.batch_norm == TRAINED:
                each.learn_norms()
        self.average.requires_grad_(False)
        self._learned = [each for each in self.network.parameters() if each.requires_grad]
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        self._averaged = [average for average, each in pairs if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [each for each in self._learned if each.ndim > 1], "weight_decay": phase.weight_decay},
                {"params": [each for each in self._learned if each.ndim == 1], "weight_decay": 0.0},
            ],
            lr=phase.learning_rate,
            eps=1e-7,  # Keras's
        )
        shares = drawn_shares(labels, phase.balance)
        self._offsets = logit_offsets(shares, phase.balance.logit_adjustment)

    def step(self, pixels: NDArray[np.float32], truth: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
        """One step on a batch (N, S, S, 3), (N, 8), (N,). Returns its loss."""
        self.network.train()
        for part in self._optimizer.param_groups:
            part["lr"] = learning_rate_at(self._done, self._steps, self._phase)
        images = _channels_first(pixels)
        if self._teachers:
            said = np.mean([_logits(each, images) for each in self._teachers], axis=0)
            truth = taught(truth, said, offsets=self._offsets, share=self._phase.teacher_share)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.network(images)
        losses = functional.cross_entropy(
            logits + torch.from_numpy(self._offsets),
            torch.from_numpy(truth),
            reduction="none",
            label_smoothing=self._phase.label_smoothing,
        )
        loss = (losses * torch.from_numpy(weights)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learned, self._phase.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        if self._done % AVERAGED_EVERY == 0:
            # At first the average forgets faster: otherwise it would stay near the initial weights for long.
            momentum = min(self._phase.ema_momentum**AVERAGED_EVERY, (1 + self._done) / (40 + self._done))
            with torch.no_grad():
                torch._foreach_lerp_(self._averaged, self._learned, 1.0 - momentum)
        return float(loss.detach())

    def probabilities(self, batches: Any, count: int) -> NDArray[np.float64]:
        """float64 (count, 8) of the averaged network for the first `count` pictures of `validation_batches`."""
        return _probabilities(self.average, batches, count)

    def moments(self) -> dict[str, NDArray[np.float32]]:
        """The two moments of the optimiser for each trained weight, by its number."""
        found = {}
        for place, parameter in enumerate(self._learned):
            state = self._optimizer.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                found[f"{place}/{name}"] = state[name].numpy().copy()
        return found

    def resume(self, moments: Mapping[str, NDArray[Any]], average: Mapping[str, NDArray[Any]], *, done: int) -> None:
        """Continue after `done` steps with the optimiser's `moments` and the weights of the running `average`."""
        self._done = done
        for place, parameter in enumerate(self._learned):
            self._optimizer.state[parameter] = {
                "step": torch.tensor(float(done)),
                **{
                    name: torch.from_numpy(moments[f"{place}/{name}"].copy()).to(memory_format=_format_of(parameter))
                    for name in ("exp_avg", "exp_avg_sq")
                },
            }
        then = _fast(EfficientNetB4(average, head_dropout=0.0))
        self.average.load_state_dict(then.state_dict())


def learning_rate_at(step: int, steps: int, phase: FineTunePhase) -> float:
    """The learning rate of a step: linear warm-up, then cosine decay, as Keras's CosineDecay."""
    warmup = max(1, round(phase.warmup_share * steps))
    if step < warmup:
        return phase.learning_rate * step / warmup
    return phase.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _probabilities(network: EfficientNetB4, batches: Any, count: int) -> NDArray[np.float64]:
    return softmax(np.concatenate([_logits(network, _channels_first(pixels)) for (pixels,) in batches])[:count])


def _logits(network: EfficientNetB4, images: Any) -> NDArray[np.float32]:
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        return np.asarray(network(images).numpy(), dtype=np.float32)


def _teacher(bundle: Bundle) -> EfficientNetB4:
    architecture = bundle.manifest.architecture
    if architecture.backbone != "efficientnetb4" or architecture.head_units:
        raise RecipeError(
            f"{bundle.version} cannot teach in the engine pytorch: it is no EfficientNetB4 with a linear head."
        )
    return _fast(EfficientNetB4(bundle.network_tensors(), head_dropout=0.0))


def _channels_first(pixels: NDArray[np.float32]) -> Any:
    """(N, S, S, 3) -> (N, 3, S, S) with the same memory layout, which is the fastest for oneDNN."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def _fast(network: EfficientNetB4) -> EfficientNetB4:
    network.to(memory_format=torch.channels_last)
    return network


def _format_of(parameter: Any) -> Any:
    return torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
