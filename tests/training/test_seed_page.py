"""The page about the seed: its runs never see the pictures they are asked about, and its figures are the manifests'."""

import io
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import CALIBRATION, TEST, TRAIN, Split, split_examples
from recognition.fit import History
from recognition.fit.head_runs import HeadRun
from recognition.inference.bundle import Bundle, read_bundle
from recognition.recipes import SEED_FINE_TUNE, SEED_TRANSFER, Recipe
from recognition.taxonomy import CODES, DERMOSCOPIC, Diagnosis
from tests.factories import write_dataset
from training.charts.epochs import EpochCurve, Level, Stage, epoch_curves
from training.evaluation.seed_page import EXAMPLES, SeedExample, draw_charts, seed_page, without_lesions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("seed"))


@pytest.fixture(scope="module")
def examples(folder: Path) -> Examples:
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        return read_examples(
            name="made",
            ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv",
            metadata=folder / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )


@pytest.fixture(scope="module")
def dealt(examples: Examples) -> Split:
    return split_examples(examples.table)


def one_of(split: Split, name: str, position: int) -> str:
    return next(image for image in split.images(name) if image.startswith(f"ISIC_{position:02d}"))


def learning(recipe: Recipe, examples: Examples, *, epochs: int) -> HeadRun:
    """A run that is right about three pictures of four, without a training."""
    figures = [
        {
            "loss": 2.0 - epoch / 10,
            "validation_loss": 2.1 - epoch / 10,
            "balanced_accuracy": 0.3,
            "accuracy": 0.5 + epoch / 100,
            "validation_accuracy": 0.4 + epoch / 100,
        }
        for epoch in range(epochs)
    ]
    labels = np.array([CODES.index(code) for code in examples.table["diagnosis"]])
    called = np.where(np.arange(len(labels)) % 4 == 0, Diagnosis.DF.position, labels)
    probabilities = np.full((len(labels), len(CODES)), 0.05)
    probabilities[np.arange(len(labels)), called] = 0.65
    return HeadRun(recipe, History(figures, epochs - 1, 1.0), probabilities)


@pytest.fixture(scope="module")
def runs(examples: Examples) -> list[HeadRun]:
    return [learning(SEED_TRANSFER, examples, epochs=4), learning(SEED_FINE_TUNE, examples, epochs=2)]


def page_of(
    folder: Path, examples: Examples, dealt: Split, runs: list[HeadRun], bundle: Bundle, asked: tuple[SeedExample, ...]
) -> str:
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        return seed_page(
            runs=runs,
            shipped=bundle,
            examples=examples,
            dealt=dealt,
            split=without_lesions(dealt, examples, [each.image for each in asked]),
            pictures=pictures,
            charts="seed",
            command="manage.py write_seed_page",
            asked=asked,
        )


def test_both_pictures_and_their_lesions_are_left_out_and_nothing_else_moves(examples: Examples, dealt: Split) -> None:
    table = examples.table.set_index("image")
    asked = [one_of(dealt, TRAIN, 3), one_of(dealt, TRAIN, 2)]
    lesions = set(table.loc[asked, "lesion_id"])

    split = without_lesions(dealt, examples, asked)

    gone = set(dealt.assignment.index) - set(split.assignment.index)
    assert gone == set(table.index[table["lesion_id"].isin(lesions)])
    assert len(gone) == 4
    assert split.images(TEST) == dealt.images(TEST)
    assert split.test_fingerprint == dealt.test_fingerprint
    assert split.fingerprint != dealt.fingerprint


def test_the_page_has_the_seed_beside_what_each_classifier_says(
    folder: Path, examples: Examples, dealt: Split, runs: list[HeadRun], tiny_bundle: Path
) -> None:
    bundle = read_bundle(tiny_bundle)
    learned, held_out = one_of(dealt, TRAIN, 3), one_of(dealt, CALIBRATION, 2)
    asked = (
        SeedExample(learned, Diagnosis.DF, 0.484, Diagnosis.AK),
        SeedExample(held_out, Diagnosis.DF, 0.485, Diagnosis.BCC),
    )

    page = page_of(folder, examples, dealt, runs, bundle, asked)

    assert "**63.6 %** and **65.8 %**" in page
    assert f"| `{learned}` | DF, 48.4 % | AK |" in page
    assert f"| `{held_out}` | DF, 48.5 % | BCC |" in page
    for image, answer in zip((learned, held_out), ("yes", "no (calibration split)"), strict=True):
        said = page.split(f"### `{image}`")[1].split("###")[0].splitlines()
        ours = [line for line in said if line.startswith(("| `SEED_TRANSFER` |", "| `SEED_FINE_TUNE` |"))]
        assert len(ours) == 2
        assert all("65.0 %" in line and line.endswith("| has none | no |") for line in ours)
        [shipped] = [line for line in said if line.startswith(f"| `{bundle.version}` |")]
        assert shipped.endswith(f"| {answer} |")
    value = bundle.manifest.image_types[DERMOSCOPIC]["metrics"]["accuracy"]["value"]
    [accuracy] = [line for line in page.splitlines() if line.startswith("| accuracy |")]
    assert f"| {value:.3f} (" in accuracy
    assert "measured on the same test images" in page
    assert "| 1 | `SEED_TRANSFER` | 2.000 | 2.100 | 0.500 | 0.400 | 0.300 |" in page
    assert "| **6** | `SEED_FINE_TUNE` | 1.900 | 2.000 | 0.510 | 0.410 | 0.300 |" in page
    assert "\n\n\n" not in page


def test_a_classifier_of_another_split_may_have_learned_the_picture(
    folder: Path, examples: Examples, runs: list[HeadRun], tiny_bundle: Path
) -> None:
    other = split_examples(examples.table, seed=1)
    asked = (SeedExample(one_of(other, TRAIN, 3), Diagnosis.DF, 0.484, Diagnosis.AK),)

    page = page_of(folder, examples, other, runs, read_bundle(tiny_bundle), asked)

    assert "| perhaps: its split is another |" in page
    assert "measured on other test images" in page


def test_the_charts_draw_training_and_validation(examples: Examples, dealt: Split, runs: list[HeadRun]) -> None:
    charts = draw_charts(runs, split=dealt, examples=examples)

    assert sorted(charts) == ["accuracy.png", "loss.png"]
    for content in charts.values():
        assert Image.open(io.BytesIO(content)).width > 800


def test_the_names_of_two_curves_that_end_together_do_not_overlap() -> None:
    curves = [EpochCurve("training", [0.5, 0.7], "#000000"), EpochCurve("validation", [0.6, 0.7], "#ff0000")]

    figure = epoch_curves(curves, stages=[Stage("first", 2)], y="accuracy", level=Level("always NV", 0.55))

    places = {text.get_text(): text.xy[1] for text in figure.axes[0].texts if hasattr(text, "xy")}
    low, high = figure.axes[0].get_ylim()
    assert abs(places["training"] - places["validation"]) > 0.05 * (high - low)


def test_data_without_the_two_pictures_are_refused_in_a_sentence(folder: Path, tiny_bundle: Path) -> None:
    with pytest.raises(CommandError, match=f"lacks {EXAMPLES[1].image}, {EXAMPLES[0].image}"):
        call_command("write_seed_page", data=folder, bundle=tiny_bundle)
