"""A whole training with the metadata head: it learns from metadata, and adds nothing without them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.datasets.examples import metadata_of, read_examples
from recognition.datasets.pictures import PictureStore
from recognition.fit import fine_tune
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.inference.metadata import Metadata, metadata_head_of
from recognition.inference.network import build_network
from recognition.inference.runtime import load_classifier
from recognition.inference.sealing import draft_bundle
from recognition.recipes import SMOKE, changed
from recognition.taxonomy import CODES
from tests.factories import made_picture, write_dataset
from tests.recognition.fit.trained import trained_in

TOLD_BY_SEX = ("MEL", "NV")
RECIPE = changed(SMOKE, {"architecture.metadata": "true", "fine_tune.epochs": "12"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two diagnoses look alike and are told apart by the sex alone; every third row lacks everything."""
    folder = tmp_path_factory.mktemp("told")
    files = write_dataset(folder / "files", per_diagnosis=24)
    with PictureStore(files / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made",
            ground_truth=files / "ISIC_2019_Training_GroundTruth.csv",
            metadata=files / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )
        table = examples.table
        alike = table["diagnosis"].isin(TOLD_BY_SEX)
        table.loc[alike, "sex"] = table.loc[alike, "diagnosis"].map({"MEL": "female", "NV": "male"})
        table.loc[table.index % 3 == 0, ["sex", "anatom_site_general"]] = None
        table.loc[table.index % 3 == 0, "age_approx"] = float("nan")

        class Alike:
            """NV is shown the pictures of MEL."""

            def picture(self, image: str) -> Any:
                return pictures.picture(f"ISIC_00{image[7:]}" if image.startswith("ISIC_01") else image)

        answers: dict[str, Any] = {}
        bundle = trained_in(folder, examples, Alike(), recipe=RECIPE, version="told", test_probabilities=answers)
        yield {"bundle": bundle, "pictures": Alike(), "table": table, "answers": answers}


def test_metadata_tells_apart_what_looks_alike_and_nothing_is_added_without(trained: dict[str, Any]) -> None:
    classifier = load_classifier(read_bundle(trained["bundle"].directory), "onnx")
    picture = made_picture("MEL", 700)
    female, male, unknown, none = (
        outcome.probabilities
        for outcome in classifier.classify(
            [picture] * 4, [Metadata(sex="female"), Metadata(sex="male"), Metadata(sex="", age_approx=None), None]
        )
    )
    first, second = (CODES.index(code) for code in TOLD_BY_SEX)
    assert female[first] / female[second] > 2 * male[first] / male[second]
    alone = classifier.classify([picture])[0]
    assert np.array_equal(unknown, alone.probabilities)
    assert np.array_equal(none, alone.probabilities)


def test_the_heatmap_and_the_features_are_the_pictures_own(trained: dict[str, Any]) -> None:
    classifier = load_classifier(trained["bundle"], "onnx")
    picture = made_picture("VASC", 701)
    told, alone = classifier.classify([picture, picture], [Metadata(80, "male", "head/neck"), None])
    assert np.allclose(told.features, alone.features, atol=1e-5)
    if told.diagnosis == alone.diagnosis and alone.heatmap is not None:
        assert told.heatmap is not None
        assert np.allclose(told.heatmap, alone.heatmap, atol=1e-4)


def test_both_runtimes_heed_it_alike(trained: dict[str, Any]) -> None:
    pictures = [made_picture(code, 702) for code in CODES]
    records = [Metadata(5.0 * number, "male", None) for number in range(len(CODES))]
    onnx, keras = (
        load_classifier(trained["bundle"], runtime).classify(pictures, records) for runtime in ("onnx", "keras")
    )
    for mine, theirs in zip(onnx, keras, strict=True):
        assert np.allclose(mine.probabilities, theirs.probabilities, atol=1e-4)


def test_the_sealed_figures_are_those_with_the_metadata_of_the_rows(trained: dict[str, Any]) -> None:
    bundle: Bundle = trained["bundle"]
    images = list(trained["answers"])
    outcomes = load_classifier(bundle, "onnx").classify(
        [trained["pictures"].picture(image) for image in images], metadata_of(trained["table"], images)
    )
    for image, outcome in zip(images, outcomes, strict=True):
        assert np.allclose(outcome.probabilities, trained["answers"][image], atol=1e-4)
    assert bundle.manifest.architecture.metadata


def test_the_head_lies_in_the_weights_file_and_a_bundle_without_it_is_refused(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    head = metadata_head_of(trained["bundle"])
    assert head is not None
    assert np.abs(head.kernel).max() > 0.01
    with pytest.raises(ValueError, match="metadata head"):
        draft_bundle(
            build_network(RECIPE.architecture),
            architecture=RECIPE.architecture,
            preprocessing=RECIPE.preprocessing,
            beside=tmp_path / "bundle",
        )
    from safetensors.numpy import load_file, save_file

    class Without:
        manifest = trained["bundle"].manifest
        version = "cut"
        weights_path = tmp_path / "weights.safetensors"

    kept = {key: value for key, value in load_file(trained["bundle"].weights_path).items() if "metadata/" not in key}
    save_file(kept, Without.weights_path)
    with pytest.raises(BundleError) as caught:
        metadata_head_of(Without)  # type: ignore[arg-type]
    assert caught.value.code == "altered"


def test_one_record_for_each_picture(trained: dict[str, Any]) -> None:
    classifier = load_classifier(trained["bundle"], "onnx")
    with pytest.raises(ValueError, match="records of metadata"):
        classifier.classify([made_picture("NV", 1)] * 2, [Metadata()])


def test_a_head_and_its_data_come_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="come together"):
        fine_tune(build_network(RECIPE.architecture), recipe=RECIPE, references={}, labels={}, run_folder=tmp_path)
