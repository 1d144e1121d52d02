"""Own what BatchNorm needs when it is learned: pictures on which the statistics of averaged weights are measured.

In training a batch is normalised by its own mean and variance. The weights that are kept are a running average, which
no batch has ever gone through: what its layers give is measured on training pictures as they are served, once an epoch
(Izmailov et al. 2018, "Averaging weights leads to wider optima", section 3.2).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diagnoses.inference.preprocessing import to_input
from training.recipes import BATCH_NORMS, Recipe

FROZEN, TRAINED = BATCH_NORMS

PICTURES: Final = 1024
"""Enough for a mean within 3 % of a channel's deviation, and seconds of an epoch's minutes."""

BATCH: Final = 32


def measuring_batches(references: Sequence[Image.Image], recipe: Recipe) -> Iterator[NDArray[np.float32]]:
    """Network inputs float32 (B, S, S, 3) of drawn training pictures, unvaried, made as they are asked for.

    The same ones each time; none where the recipe holds BatchNorm.
    """
    if recipe.fine_tune is None or recipe.fine_tune.batch_norm == FROZEN:
        return
    drawn = np.random.default_rng([recipe.seed, 303]).permutation(len(references))[:PICTURES]
    if len(drawn) > BATCH:  # whole batches alone: each counts as much, and few pictures say little
        drawn = drawn[: len(drawn) // BATCH * BATCH]
    for start in range(0, len(drawn), BATCH):
        rows = drawn[start : start + BATCH]
        yield np.stack([to_input(references[row], input_size=recipe.architecture.input_size) for row in rows])


def measure_norms(network: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Set moving mean and variance of a Keras network's trainable BatchNorm layers to their mean over these batches.

    Dropout and stochastic depth rest meanwhile; each batch is normalised by its own statistics.
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
