"""Trains heads one after another on one frozen backbone, and answers all pictures from the cached features.

For looking at recipes without a fine-tuning phase: no bundle is sealed, so one pass over the pictures is all it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.examples import Examples
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import TRAIN, VALIDATION, Split
from recognition.fit.device import use_onednn
from recognition.fit.head import fit_head
from recognition.fit.imagenet import downloaded_imagenet_weights
from recognition.fit.run import backbone_key, features_of_all
from recognition.fit.training_state import History
from recognition.inference.calibration import softmax
from recognition.inference.network import (
    build_head,
    build_network,
    load_imagenet_backbone,
    network_tensors,
    set_network_tensors,
)
from recognition.progress import Report, silent
from recognition.recipes import Recipe
from recognition.taxonomy import CODES


@dataclass(frozen=True, slots=True, eq=False)
class HeadRun:
    """A trained head: its recipe, the metrics of its epochs, and its probabilities (N, 8), without calibration.

    The rows of `probabilities` are those of the data set's table.
    """

    recipe: Recipe
    history: History
    probabilities: NDArray[np.float64]


def run_heads(
    recipes: Sequence[Recipe],
    *,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    imagenet_weights: Path | None,
    work: Path,
    report: Report = silent,
) -> list[HeadRun]:
    """Train the frozen phase of each recipe; a recipe that continues goes on from the head of the one before it.

    All recipes have the architecture and preprocessing of the first. `work` is the folder for feature caches;
    `imagenet_weights` is the .npz file of the backbone; None downloads it into `work`. The tiny network needs none.

    Raises WeightsError, TrainingError, ExamplesError or OSError.
    """
    use_onednn()
    import keras

    first = recipes[0]
    keras.utils.set_random_seed(first.seed)
    network = build_network(first.architecture)
    if first.needs_imagenet_weights:
        weights_file = imagenet_weights or downloaded_imagenet_weights(work / "weights")
        weights_key = load_imagenet_backbone(network, weights_file)
    else:
        weights_key = backbone_key(network)
    images = examples.table["image"].tolist()
    table = features_of_all(
        network,
        recipe=first,
        examples=examples,
        pictures=pictures,
        weights_key=weights_key,
        work=work,
        report=report,
    )
    row = {image: number for number, image in enumerate(images)}
    rows = {name: [row[image] for image in split.images(name)] for name in (TRAIN, VALIDATION)}
    codes = np.array([CODES.index(code) if code else -1 for code in examples.table["diagnosis"]])
    runs = []
    for recipe in recipes:
        history = fit_head(
            network,
            recipe=recipe,
            features={name: table[chosen] for name, chosen in rows.items()},
            labels={name: codes[chosen] for name, chosen in rows.items()},
            continues=recipe.continues,
            report=report,
        )
        head = build_head(recipe.architecture, table.shape[1])
        of_head = tuple(f"{name}/" for name in recipe.architecture.head_layers)
        kept = {key: value for key, value in network_tensors(network).items() if key.startswith(of_head)}
        set_network_tensors(head, kept)
        runs.append(HeadRun(recipe, history, softmax(head.predict(table, batch_size=4096, verbose=0))))
    return runs
