"""A whole training on a generated data set, for the tests: everything in one folder."""

from pathlib import Path
from typing import Any

from recognition.datasets.examples import Examples
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import split_examples
from recognition.fit.run import train_classifier
from recognition.inference.bundle import Bundle
from recognition.recipes import Recipe


def trained_in(
    folder: Path, examples: Examples, pictures: Pictures, *, recipe: Recipe, version: str, **further: Any
) -> Bundle:
    """The bundle that `train_classifier` makes, without ImageNet weights; `further` are more of its arguments."""
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
