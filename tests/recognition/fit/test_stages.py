"""A training in stages: each goes on from the last, and what is sealed is not trained again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import Split, split_examples
from recognition.fit.stages import train_in_stages
from recognition.inference.bundle import Bundle
from recognition.progress import Progress
from recognition.recipes import DEFAULT_STAGES, SMOKE, changed
from tests.factories import write_dataset

FIRST = changed(SMOKE, {"fine_tune.epochs": "2"})
SECOND = changed(SMOKE, {"fine_tune.epochs": "2", "frozen.epochs": "0", "architecture.input_size": "40", "seed": "7"})


class Stopped(Exception):
    pass


@pytest.fixture
def data(tmp_path: Path) -> Iterator[tuple[Examples, Split, PictureStore]]:
    folder = write_dataset(tmp_path / "isic", per_diagnosis=12)
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made", ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv", pictures=pictures
        )
        yield examples, split_examples(examples.table), pictures


def test_a_stage_goes_on_from_the_sealed_one_and_an_interrupted_one_from_its_epoch(
    data: tuple[Examples, Split, PictureStore], tmp_path: Path
) -> None:
    examples, split, pictures = data
    steps: list[int] = []

    def trained(stages: Any = (FIRST, SECOND), stop_after: int = 1000, views: int = 1) -> Bundle:
        steps.clear()

        def report(progress: Progress) -> None:
            if progress.stage == "fine-tune" and "balanced_accuracy" not in progress.figures:
                steps.append(progress.done)
                if len(steps) == stop_after:
                    raise Stopped

        return train_in_stages(
            stages,
            examples=examples,
            split=split,
            pictures=pictures,
            imagenet_weights=None,
            work=tmp_path / "work",
            directory=tmp_path / "bundle",
            version="two",
            views=views,
            report=report,
        )

    of_stage = 2 * (len(split.images("train")) // 16)
    # The second stage is stopped in its second epoch.
    with pytest.raises(Stopped):
        trained(stop_after=of_stage + of_stage // 2 + 1)
    assert not (tmp_path / "bundle").exists()
    bundle = trained()
    assert len(steps) == of_stage // 2  # its second epoch alone
    first, *others = bundle.manifest.ancestry
    assert (first["version"], first["relation"], others) == ("two-32", "parent", [])
    assert bundle.manifest.architecture.input_size == 40
    again = trained()
    assert (again.sha256, steps) == (bundle.sha256, [])
    # Served another way it is sealed again, and not trained.
    mirrored = trained(views=2)
    assert (mirrored.manifest.views, mirrored.manifest.ancestry[0]["sha256"], steps) == (2, first["sha256"], [])
    # Another second stage goes on from the same first one.
    other = trained((FIRST, changed(SECOND, {"fine_tune.learning_rate": "1e-3"})))
    assert len(steps) == of_stage
    assert other.manifest.ancestry[0]["sha256"] == first["sha256"]


def test_the_stages_of_the_default_classifier_grow_and_none_draws_as_another() -> None:
    sizes = [recipe.architecture.input_size for recipe in DEFAULT_STAGES]
    assert sizes == sorted(set(sizes))
    assert len({recipe.seed for recipe in DEFAULT_STAGES}) == len(DEFAULT_STAGES)
    assert [recipe.continues for recipe in DEFAULT_STAGES] == [False, True, True]
    assert all(recipe.fine_tune is not None and not recipe.fine_tune.learn_validation for recipe in DEFAULT_STAGES)
