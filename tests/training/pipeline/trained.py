"""A whole training on a made data set, as the tests of the pipeline want it: everything in one folder."""

from pathlib import Path
from typing import Any

from diagnoses.datasets.pictures import Pictures
from diagnoses.inference.bundle import Bundle
from training.pipeline.examples import Examples
from training.pipeline.run import train_classifier
from training.pipeline.splits import split_examples
from training.recipes import Recipe


def trained_in(
    folder: Path, examples: Examples, pictures: Pictures, *, recipe: Recipe, version: str, **further: Any
) -> Bundle:
    """What `train_classifier` makes of the examples' own split, without ImageNet weights; `further` are its others."""
    return train_classifier(
        recipe=recipe,
        examples=examples,
        split=split_examples(examples.table),
        pictures=pictures,
        imagenet_weights=None,
        work=folder / "work",
        directory=folder / "bundle",
        version=version,
        **further,
    )
