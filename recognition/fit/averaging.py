"""The optimiser of fine-tuning: AdamW with warm-up, cosine decay and averaged weights, on one or more devices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recognition.inference.network import numpy_of
from recognition.recipes import FineTunePhase


def averaging_optimizer(phase: FineTunePhase, total_steps: int, *, scales_loss: bool = False) -> tuple[Any, Any]:
    """The optimiser to compile with, and the AdamW inside it, which keeps a running average of the weights.

    `take_average` of the second puts the average into the model. Both are the same object, unless `scales_loss` wraps
    AdamW in Keras's dynamic loss scaling, which float16 needs for small gradients.
    """
    import keras

    warmup = max(1, round(phase.warmup_share * total_steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, total_steps - warmup),
        warmup_target=phase.learning_rate,
        warmup_steps=warmup,
    )

    class AveragingAdamW(keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            super().apply(grads if scales_loss else summed_over_devices(grads), trainable_variables)

        def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
            """Do nothing: the gradients were summed before they were clipped."""
            return list(grads_and_vars)

        def finalize_variable_values(self, var_list: Any) -> None:
            """Do nothing: `fit` calls this after every epoch and would replace the weights by their average."""

        def take_average(self, variables: Any) -> None:
            """Replace the weights by their running average, if the recipe has one."""
            super().finalize_variable_values(variables)
            # In JAX an assignment shares the array, and Keras donates the model's arrays in its next call. Without this
            # copy the optimiser's average would be deleted.
            for variable in variables:
                variable.assign(np.array(numpy_of(variable)))

    optimizer = AveragingAdamW(
        schedule,
        weight_decay=phase.weight_decay,
        global_clipnorm=phase.clip_norm,
        use_ema=phase.ema_momentum > 0.0,
        ema_momentum=phase.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if not scales_loss:
        return optimizer, optimizer

    class LossScaling(keras.optimizers.LossScaleOptimizer):  # type: ignore[misc]  # Keras has no types
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            # Keras checks on the first device alone whether gradients are finite. After the sum the check covers all.
            super().apply(summed_over_devices(grads), trainable_variables)

    return LossScaling(optimizer), optimizer


def summed_over_devices(gradients: Sequence[Any]) -> list[Any]:
    """Gradients summed over the devices of a `tf.distribute` strategy; unchanged without one.

    Keras sums them only in the optimiser's update, after each device has clipped its own part. The steps would then
    differ from those of one device with the same batch.
    """
    import keras

    gradients = list(gradients)
    if keras.backend.backend() != "tensorflow":
        return gradients
    import tensorflow

    context = tensorflow.distribute.get_replica_context()
    if not tensorflow.distribute.has_strategy() or context is None:
        return gradients
    there = [gradient for gradient in gradients if gradient is not None]
    reduced = iter(context.all_reduce(tensorflow.distribute.ReduceOp.SUM, there))
    return [None if gradient is None else next(reduced) for gradient in gradients]
