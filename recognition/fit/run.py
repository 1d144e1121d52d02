"""A whole training: from checked examples and a recipe to a sealed bundle."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.datasets.ancestry import learns_validation
from recognition.datasets.examples import Examples
from recognition.datasets.identity import picture_ids
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import Pictures
from recognition.datasets.sources import source_of
from recognition.datasets.splits import TRAIN, VALIDATION, Split
from recognition.fit import fine_tune, fit_head
from recognition.fit.device import precision_for, training_devices, use_onednn
from recognition.fit.features import cached_features, embedder
from recognition.fit.imagenet import downloaded_imagenet_weights
from recognition.fit.learned import (
    absent_diagnoses,
    ancestry,
    learned_by,
    learned_here,
    require_unlearned,
)
from recognition.fit.learning_pictures import LearningPictures, PictureCache
from recognition.fit.seal import seal_network
from recognition.inference.bundle import Bundle
from recognition.inference.learned import Learned
from recognition.inference.network import (
    HEAD_PREFIX,
    LOGITS,
    WeightsError,
    build_network,
    load_imagenet_backbone,
    network_tensors,
    set_network_tensors,
)
from recognition.inference.outputs import PictureOutputs
from recognition.progress import Report, silent
from recognition.recipes import Recipe
from recognition.taxonomy import CODES

LEARNING_SPLITS: Final = (TRAIN, VALIDATION)


def train_classifier(
    *,
    recipe: Recipe,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    imagenet_weights: Path | None,
    work: Path,
    directory: Path,
    version: str,
    run_folder: Path | None = None,
    parent: Bundle | None = None,
    parent_learned: Learned | None = None,
    others: OtherPictures | None = None,
    views: int = 1,
    test_outputs: dict[str, PictureOutputs] | None = None,
    report: Report = silent,
) -> Bundle:
    """Train by the recipe and seal the result in `directory`.

    - `work`: folder for feature caches; `run_folder`: folder for checkpoints, by default one in `work` named by recipe
      and data. After a crash, a call with the same arguments continues the run;
    - `imagenet_weights`: the .npz file of the backbone; None downloads it into `work`. With a parent, or the tiny
      network, none is needed;
    - `parent`: gives its weights instead: the backbone, and the head if it has the same shape. A recipe that continues
      a classifier needs a parent with the same head;
    - `parent_learned`: what the parent has learned, where the caller knows more than its bundle says;
    - `others`, `views`: see `seal_measured`;
    - `test_outputs`: gets the outputs of each test picture, by image: an evaluation need not compute them again.

    Raises ValueError when the parent is needed and missing, RecipeError for a parent that has learned what this run
    holds back (see `require_unlearned`), WeightsError, ExamplesError, TrainingError, SealingError, ExportError or
    OSError, and whatever `report` raises.
    """
    learns = learns_validation(recipe.as_json())
    learned = learned_here(examples, split, learn_validation=learns)
    if parent is not None:
        before = parent_learned or learned_by(parent, examples, split)
        require_unlearned(recipe, parent.version, before, examples=examples, split=split)
        learned = before | learned
    use_onednn()
    import keras

    keras.utils.set_random_seed(recipe.seed)
    run_folder = run_folder or work / "runs" / _run_name(recipe, examples, split, parent)
    network = build_network(recipe.architecture)
    weights_key = "random"
    if recipe.needs_imagenet_weights and (imagenet_weights is not None or parent is None):
        weights_file = imagenet_weights or downloaded_imagenet_weights(work / "weights")
        weights_key = load_imagenet_backbone(network, weights_file)
    head_continues = False
    if parent is not None:
        of_imagenet = backbone_key(network)
        head_continues = take_over(network, parent, recipe=recipe)
        # A parent whose backbone was never trained has the ImageNet backbone, bit for bit: cached features serve.
        own = backbone_key(network)
        weights_key = weights_key if own == of_imagenet else f"backbone:{own}"
    elif recipe.continues:
        raise ValueError(f"The recipe {recipe.name} continues a classifier; say which.")
    labels = _labels(examples, split)
    sources = _sources(examples, split)

    if not recipe.frozen.epochs and not head_continues:
        raise WeightsError("frozen.epochs is 0: fine-tuning then needs a parent with the same head to go on from.")
    histories: dict[str, Any] = {"head": []}
    if recipe.frozen.epochs:
        features = _features(
            network,
            recipe=recipe,
            examples=examples,
            split=split,
            pictures=pictures,
            weights_key=weights_key,
            work=work,
            report=report,
        )
        head_history = fit_head(
            network,
            recipe=recipe,
            features=features,
            labels=labels,
            sources=sources[TRAIN],
            run_folder=run_folder / "head",
            continues=head_continues,
            report=report,
        )
        histories["head"] = head_history.epochs

    if recipe.fine_tune is not None:
        images = {name: list(split.images(name)) for name in LEARNING_SPLITS}
        if recipe.fine_tune.learn_validation:
            images[TRAIN] += images[VALIDATION]
            labels, sources = _with_validation(labels), _with_validation(sources)
        cache = PictureCache()
        references = {
            name: LearningPictures(names, pictures=pictures, preprocessing=recipe.preprocessing, cache=cache)
            for name, names in images.items()
        }
        history = fine_tune(
            network,
            recipe=recipe,
            references=references,
            labels=labels,
            sources=sources[TRAIN],
            run_folder=run_folder,
            report=report,
        )
        histories["fine_tune"] = history.epochs

    return seal_network(
        network,
        recipe=recipe,
        examples=examples,
        split=split,
        pictures=pictures,
        directory=directory,
        version=version,
        provenance={
            "imagenet_weights_sha256": weights_key if recipe.needs_imagenet_weights and parent is None else None,
            "parent": None if parent is None else _named(parent),
            "keras": keras.version(),
            "keras_backend": keras.backend.backend(),
            "precision": precision_for(recipe.precision),
            "devices": max(1, len(training_devices(recipe.devices))),
            "history": histories,
        },
        ancestry=ancestry(parent=parent),
        absent=absent_diagnoses(examples, split, learn_validation=learns),
        learned=learned,
        others=others,
        views=views,
        test_outputs=test_outputs,
        report=report,
    )


def take_over(network: Any, parent: Bundle, *, recipe: Recipe) -> bool:
    """Load the weights of the parent into the network. Returns whether they include the head.

    Raises WeightsError if the backbones differ, or if the recipe continues and has another head.
    """
    theirs, ours = parent.manifest.architecture, recipe.architecture
    if theirs.backbone != ours.backbone:
        raise WeightsError(
            f"{parent.version} has the backbone {theirs.backbone}; the recipe {recipe.name} trains {ours.backbone}."
        )
    with_head = theirs.head_units == ours.head_units
    if recipe.continues and not with_head:
        raise WeightsError(
            f"{parent.version} has the head {theirs.head_units or 'linear'}; {recipe.name} continues one of "
            f"{ours.head_units or 'linear'}. Choose a classifier with the head that is to go on learning."
        )
    head = tuple(f"{name}/" for name in {*theirs.head_layers, *ours.head_layers})
    taken = {key: value for key, value in parent.network_tensors().items() if with_head or not key.startswith(head)}
    set_network_tensors(network, network_tensors(network) | taken)
    return with_head


def backbone_key(network: Any) -> str:
    """sha256 (hex) over every weight below the head."""
    names = (HEAD_PREFIX, f"{LOGITS}/")
    return _digest({key: value for key, value in network_tensors(network).items() if not key.startswith(names)})


def _with_validation(by_split: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same arrays with the rows of the validation split appended to those of the training split."""
    return {**by_split, TRAIN: np.concatenate([by_split[name] for name in LEARNING_SPLITS])}


def _labels(examples: Examples, split: Split) -> dict[str, NDArray[np.int64]]:
    diagnosis = examples.table.set_index("image")["diagnosis"]
    return {
        name: np.array([CODES.index(code) for code in diagnosis.loc[split.images(name)]]) for name in LEARNING_SPLITS
    }


def _sources(examples: Examples, split: Split) -> dict[str, NDArray[np.int64]]:
    """The source of each picture as a number: its public data set and its kind of picture."""
    data_sets = [source_of(ids) for ids in picture_ids(examples.table, examples.table["image"].tolist())]
    named = pd.Series(
        [f"{data_set.name}: {kind}" for data_set, kind in zip(data_sets, examples.table["image_type"], strict=True)],
        index=examples.table["image"],
    )
    learning = named.loc[[image for name in LEARNING_SPLITS for image in split.images(name)]]
    numbers = {name: number for number, name in enumerate(sorted(set(learning)))}
    return {
        name: np.array([numbers[each] for each in named.loc[split.images(name)]], dtype=np.int64)
        for name in LEARNING_SPLITS
    }


def _features(
    network: Any,
    *,
    recipe: Recipe,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    weights_key: str,
    work: Path,
    report: Report,
) -> Mapping[str, NDArray[np.float32]]:
    if weights_key == "random":
        weights_key = _tensors_key(network)
    table = features_of_all(
        network,
        recipe=recipe,
        examples=examples,
        pictures=pictures,
        weights_key=weights_key,
        work=work,
        report=report,
    )
    row = {image: number for number, image in enumerate(examples.table["image"].tolist())}
    return {name: table[[row[image] for image in split.images(name)]] for name in LEARNING_SPLITS}


def features_of_all(
    network: Any,
    *,
    recipe: Recipe,
    examples: Examples,
    pictures: Pictures,
    weights_key: str,
    work: Path,
    report: Report,
) -> NDArray[np.float32]:
    """Features (N, C) of every row of the table, in its order, from the cache in `work` or computed.

    Not of the learning splits alone: another seed or share then needs no second pass. `weights_key` names the weights.
    """
    with tempfile.TemporaryDirectory() as exported:
        return cached_features(
            examples.table["image"].tolist(),
            pictures=pictures,
            content_key=examples.fingerprint,
            embed=embedder(network, folder=Path(exported)),
            embed_key=f"{recipe.architecture.backbone}:{weights_key}",
            preprocessing=recipe.preprocessing,
            folder=work / "features",
            report=report,
        )


def _tensors_key(network: Any) -> str:
    return _digest(network_tensors(network))


def _digest(tensors: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256()
    for key, value in tensors.items():
        digest.update(key.encode() + value.tobytes())
    return digest.hexdigest()


def _named(bundle: Bundle) -> dict[str, str]:
    return {"version": bundle.version, "sha256": bundle.sha256}


def _run_name(recipe: Recipe, examples: Examples, split: Split, parent: Bundle | None) -> str:
    described = json.dumps(
        [
            recipe.identity(),
            examples.fingerprint,
            split.fingerprint,
            *([] if parent is None else [parent.sha256]),
        ],
        sort_keys=True,
    )
    return f"{recipe.name.lower()}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
