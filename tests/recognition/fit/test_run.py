"""A whole training on generated pictures: from files to a sealed bundle that separates the pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.splits import Split, split_examples
from recognition.fit.run import _sources
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.inference.network import WeightsError
from recognition.inference.runtime import load_classifier
from recognition.progress import Progress
from recognition.recipes import FINE_TUNE, LINEAR_PROBE, RECIPES, SMOKE, Recipe, RecipeError, changed
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from tests.factories import made_picture, write_dataset
from tests.recognition.fit.trained import trained_in

LONGER = changed(SMOKE, {"fine_tune.epochs": "16"})
"""Long enough for the tiny network to know the made pictures apart; a step of it takes milliseconds."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Examples, Split, PictureStore]]:
    folder = write_dataset(tmp_path_factory.mktemp("isic"), per_diagnosis=24)
    with PictureStore(folder / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made",
            ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv",
            metadata=folder / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )
        yield examples, split_examples(examples.table), pictures


@pytest.fixture(scope="module")
def trained(
    dataset: tuple[Examples, Split, PictureStore], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bundle, list[Progress]]:
    examples, _, pictures = dataset
    place, reports = tmp_path_factory.mktemp("run"), list[Progress]()
    bundle = trained_in(place, examples, pictures, recipe=LONGER, version="smoke", report=reports.append)
    return bundle, reports


def test_the_sealed_classifier_tells_pictures_apart_that_it_has_never_seen(trained: tuple[Bundle, object]) -> None:
    classifier = load_classifier(read_bundle(trained[0].directory), "onnx")
    outcomes = classifier.classify([made_picture(code, 900 + number) for code in CODES for number in range(4)])
    right = [outcome.diagnosis == code for outcome, code in zip(outcomes, np.repeat(CODES, 4), strict=True)]
    assert np.mean(right) > 0.7


def test_the_manifest_says_what_was_done(
    trained: tuple[Bundle, object], dataset: tuple[Examples, Split, PictureStore]
) -> None:
    manifest, (examples, split, _) = trained[0].manifest, dataset
    assert manifest.dataset["fingerprint"] == examples.fingerprint
    assert manifest.split["fingerprint"] == split.fingerprint
    assert manifest.split["pictures"] == {name: len(split.images(name)) for name in split.shares}
    assert manifest.recipe["name"] == "SMOKE"
    assert len(manifest.provenance["history"]["head"]) <= SMOKE.frozen.epochs
    figures = manifest.image_types[DERMOSCOPIC]["metrics"]
    assert figures["pictures"] == len(split.images("test"))
    assert (
        figures["balanced_accuracy"]["low"]
        <= figures["balanced_accuracy"]["value"]
        <= figures["balanced_accuracy"]["high"]
    )
    assert np.sum(figures["confusion"]) == figures["pictures"]
    assert list(figures["per_diagnosis"]) == sorted(CODES)  # JSON's sorted keys: codes are keys here, never positions
    assert sum(each["pictures"] for each in figures["per_diagnosis"].values()) == figures["pictures"]


def test_the_figures_are_those_of_the_sealed_files(
    trained: tuple[Bundle, object], dataset: tuple[Examples, Split, PictureStore]
) -> None:
    (bundle, _), (examples, split, pictures) = trained, dataset
    images = split.images("test")
    outcomes = load_classifier(bundle, "onnx").classify([pictures.picture(image) for image in images])
    truth = examples.table.set_index("image")["diagnosis"][images]
    right = np.array([outcome.diagnosis == code for outcome, code in zip(outcomes, truth, strict=True)])
    assert bundle.manifest.image_types[DERMOSCOPIC]["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())


def test_every_stage_reports_from_its_beginning_to_its_end(trained: tuple[object, list[Progress]]) -> None:
    stages: dict[str, list[Progress]] = {}
    for progress in trained[1]:
        assert 0 <= progress.done <= progress.total
        stages.setdefault(progress.stage, []).append(progress)
    assert list(stages) == ["features", "head", "fine-tune", "evaluate", "seal"]
    assert all(reports[-1].done == reports[-1].total for name, reports in stages.items() if name != "head")


def test_an_altered_byte_of_the_trained_bundle_is_refused(trained: tuple[Bundle, object], tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(trained[0].directory, tmp_path / "copy"))
    content = bytearray((copy / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_bundle(copy)
    assert caught.value.code == "altered"


def test_a_recipe_that_starts_from_imagenet_downloads_its_weights_or_says_what_to_do(
    dataset: tuple[Examples, Split, PictureStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, _, pictures = dataset
    # Building the large network takes seconds and is not what is tested.
    monkeypatch.setattr("recognition.fit.run.build_network", lambda _: None)
    monkeypatch.setattr("recognition.fit.imagenet.ORIGIN", (tmp_path / "no-internet.h5").as_uri())
    with pytest.raises(WeightsError, match="ImageNet weights could not be downloaded"):
        trained_in(tmp_path, examples, pictures, recipe=FINE_TUNE, version="none")


def test_without_a_frozen_phase_the_parents_head_is_tuned_further(
    trained: tuple[Bundle, object], dataset: tuple[Examples, Split, PictureStore], tmp_path: Path
) -> None:
    examples, _, pictures = dataset
    further = changed(SMOKE, {"frozen.epochs": "0", "fine_tune.epochs": "1", "fine_tune.learning_rate": "1e-4"})
    reports = list[Progress]()

    def train(parent: Bundle | None) -> Bundle:
        return trained_in(
            tmp_path, examples, pictures, recipe=further, version="further", parent=parent, report=reports.append
        )

    with pytest.raises(WeightsError, match="parent with the same head"):
        train(None)
    bundle = train(trained[0])
    assert bundle.manifest.provenance["history"]["head"] == []
    assert {"features", "head"}.isdisjoint(progress.stage for progress in reports)
    # A fresh head would be at chance, 1 in 8; this one goes on from what its parent knew.
    assert bundle.manifest.image_types[DERMOSCOPIC]["metrics"]["balanced_accuracy"]["value"] > 0.5


def test_a_source_is_a_data_set_and_a_kind_of_picture_also_where_data_sets_are_joined() -> None:
    # Image, kind, lesion, and the lesion's id before data sets were joined.
    rows = [
        ("ISIC_1", DERMOSCOPIC, "HAM_1", None),
        ("ISIC_2", DERMOSCOPIC, "IL_2", None),
        ("ISIC_3", CLOSE_UP, "IL_2", None),
        ("ISIC_4", CLOSE_UP, "HAM_1", "IL_4"),
        ("ISIC_5", DERMOSCOPIC, "IL_2", "HAM_5"),
        ("ISIC_6", DERMOSCOPIC, None, None),
        ("PAT_7", CLOSE_UP, "PAT_7_7", None),
        ("other", CLOSE_UP, None, None),
    ]
    table = pd.DataFrame(
        [
            {"image": image, "image_type": kind, "lesion_id": lesion, "patient_id": None, "sha256": "",
             "details": {"lesion_id": own} if own else {}}
            for image, kind, lesion, own in rows
        ]
    )  # fmt: skip
    assignment = dict.fromkeys(table["image"], "train") | {"ISIC_3": "validation", "ISIC_5": "validation"}
    split = Split(pd.Series(assignment | {"other": "test"}), 0, {}, "")
    found = _sources(Examples("made", table, ""), split)
    numbers = {
        image: int(number) for name in found for image, number in zip(split.images(name), found[name], strict=True)
    }
    assert numbers == {
        "ISIC_1": 0, "ISIC_6": 0, "ISIC_5": 0, "ISIC_3": 1, "ISIC_4": 1, "ISIC_2": 2, "PAT_7": 3,
    }  # fmt: skip


def test_a_larger_scale_and_another_aspect_are_sealed_and_served(
    dataset: tuple[Examples, Split, PictureStore], tmp_path: Path
) -> None:
    examples, _, pictures = dataset
    recipe = changed(LONGER, {"fit": "pad", "reference_long_side": "150", "fine_tune.learn_validation": "true"})
    bundle = trained_in(tmp_path, examples, pictures, recipe=recipe, version="padded")
    sealed = read_bundle(bundle.directory).manifest
    assert (sealed.preprocessing.fit, sealed.preprocessing.reference_long_side) == ("pad", 150)
    assert (sealed.recipe["fit"], sealed.recipe["reference_long_side"]) == ("pad", 150)
    assert bundle.assessor().image_types[DERMOSCOPIC].limits.quality.long_side_min == 120
    picture = made_picture("MEL", 1, size=(600, 450))
    upright, turned = load_classifier(bundle, "onnx").classify([picture, picture.transpose(Image.Transpose.ROTATE_180)])
    assert upright.probabilities.sum() == pytest.approx(1.0)
    assert turned.probabilities.sum() == pytest.approx(1.0)


def test_older_recipes_go_on_as_they_were_and_new_ones_learn_finer_pictures() -> None:
    assert {recipe.name: recipe.reference_long_side for recipe in RECIPES.values()} == {
        "LINEAR_PROBE": 400, "FINE_TUNE": 400, "STAGE_192": 400, "STAGE_256": 400, "STAGE_300": 400,
        "SEED_TRANSFER": 200, "SEED_FINE_TUNE": 200, "SMOKE": 200,
    }  # fmt: skip
    assert all((recipe.fit == "crop") == (recipe.reference_long_side == 400) for recipe in RECIPES.values())
    older = {key: value for key, value in SMOKE.as_json().items() if key not in ("reference_long_side", "fit")}
    assert Recipe.from_json(older) == SMOKE
    assert not {"reference_long_side", "fit"} & SMOKE.identity().keys()
    assert changed(FINE_TUNE, {"architecture.input_size": "320"}).preprocessing.input_size == 320
    with pytest.raises(RecipeError, match="reference_long_side lies in"):
        changed(SMOKE, {"reference_long_side": "5"})
    with pytest.raises(RecipeError, match="fit is one of"):
        changed(SMOKE, {"fit": "squeeze"})


def test_a_recipe_trains_something() -> None:
    with pytest.raises(RecipeError, match="at least 1 in a recipe without fine-tuning"):
        changed(LINEAR_PROBE, {"frozen.epochs": "0"})
