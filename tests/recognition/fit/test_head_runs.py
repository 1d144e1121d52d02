"""Heads on one frozen backbone: what they answer is what the trained network answers."""

import dataclasses
from pathlib import Path

import numpy as np

from recognition.datasets.examples import read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import VALIDATION, split_examples
from recognition.fit.head_runs import run_heads
from recognition.inference.network import Architecture
from recognition.recipes import SEED_FINE_TUNE, SEED_TRANSFER
from recognition.taxonomy import CODES
from tests.factories import write_dataset

TINY = Architecture("tiny", 32, head_units=(16, 12), head_dropouts=(0.0, 0.1, 0.0))


def test_two_recipes_are_trained_one_after_the_other_and_answer_every_picture(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", per_diagnosis=12)
    recipes = [
        dataclasses.replace(recipe, architecture=TINY, frozen=dataclasses.replace(recipe.frozen, epochs=epochs))
        for recipe, epochs in ((SEED_TRANSFER, 5), (SEED_FINE_TUNE, 2))
    ]
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made",
            ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv",
            metadata=folder / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )
        split = split_examples(examples.table)
        first, second = run_heads(
            recipes, examples=examples, split=split, pictures=pictures, imagenet_weights=None, work=tmp_path
        )

    validation = examples.table["image"].isin(split.images(VALIDATION)).to_numpy()
    labels = np.array([CODES.index(code) for code in examples.table.loc[validation, "diagnosis"]])
    for run, epochs in ((first, 5), (second, 2)):
        assert len(run.history.epochs) == epochs
        assert run.probabilities.shape == (len(examples), len(CODES))
        np.testing.assert_allclose(run.probabilities.sum(axis=1), 1.0)
        # The head that answers is that of the epoch with the least validation loss.
        right = float((run.probabilities[validation].argmax(axis=1) == labels).mean())
        assert right == run.history.epochs[run.history.best_epoch]["validation_accuracy"]
    # It went on from the first: its loss does not begin anew.
    assert second.history.epochs[0]["loss"] < first.history.epochs[0]["loss"]
    assert list((tmp_path / "features").glob("features-*.npy"))
