"""Statistics of trained BatchNorm layers for averaged weights.

In training a batch is normalised by its own mean and variance. The averaged weights are never used on a batch in
training, so mean and variance of their layers are measured once per epoch (Izmailov et al. 2018, "Averaging weights
leads to wider optima", section 3.2), on batches that are drawn, augmented and mixed as in training. On unchanged
pictures in their natural frequency, two thirds nevi, the result is worse (docs/training-log.md).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.recipes import BATCH_NORMS, FineTunePhase

FROZEN, TRAINED = BATCH_NORMS

PICTURES: Final = 1024
"""Pictures to measure on: enough for a mean within 3 % of a channel's standard deviation, in seconds."""


def measuring_batches(drawn: Any, phase: FineTunePhase) -> Iterator[NDArray[np.float32]]:
    """The pixels (B, S, S, 3) of the first batches of an epoch (see `batches`); none if BatchNorm is frozen."""
    if phase.batch_norm == FROZEN:
        return
    for place in range(min(len(drawn), max(1, PICTURES // phase.batch_size))):
        yield drawn[place][0]


def measure_norms(network: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Set moving mean and variance of the trainable BatchNorm layers of a Keras network to their mean over `batches`.

    Dropout and stochastic depth are off meanwhile; each batch is normalised by its own statistics.
    """
    import keras

    layers = list(network.layers)
    norms = [each for each in layers if isinstance(each, keras.layers.BatchNormalization) and each.trainable]
    dropouts = [each for each in layers if isinstance(each, keras.layers.Dropout)]
    momenta, rates = [each.momentum for each in norms], [each.rate for each in dropouts]
    try:
        for layer in dropouts:
            layer.rate = 0.0
        for number, batch in enumerate(batches):
            for layer in norms:
                layer.momentum = number / (number + 1)
            network(batch, training=True)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate
