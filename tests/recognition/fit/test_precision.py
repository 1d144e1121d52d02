"""Mixed precision: computations in 16 bits; stored weights, sealed bundle and answers in float32."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.datasets.examples import read_examples
from recognition.datasets.pictures import PictureStore
from recognition.fit import fine_tune
from recognition.fit.checkpoints import load_checkpoint
from recognition.fit.device import computing_in
from recognition.inference.bundle import read_bundle
from recognition.inference.network import build_network, network_tensors
from recognition.inference.preprocessing import to_reference
from recognition.inference.sealing import PARITY_TOLERANCE
from recognition.progress import Progress
from recognition.recipes import SMOKE, Recipe, changed
from recognition.taxonomy import CODES, DERMOSCOPIC
from tests.factories import made_picture, write_dataset
from tests.recognition.fit.trained import trained_in


class Stop(Exception):
    pass


def mixed(precision: str, **changes: str) -> Recipe:
    return changed(SMOKE, {"precision": precision, **{f"fine_tune.{name}": value for name, value in changes.items()}})


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    numbers = {"train": range(12), "validation": range(50, 53)}
    return {
        "references": {
            split: [to_reference(made_picture(code, n, size=(80, 60)), long_side=200) for code in CODES for n in every]
            for split, every in numbers.items()
        },
        "labels": {split: np.repeat(np.arange(8), len(every)) for split, every in numbers.items()},
    }


def test_a_policy_is_of_what_is_built_inside_and_the_logits_are_float32_all_the_same() -> None:
    import keras

    with computing_in("mixed_bfloat16"):
        inside = build_network(SMOKE.architecture)
    outside = build_network(SMOKE.architecture)
    assert keras.config.dtype_policy().name == "float32"
    assert inside.get_layer("top_conv").compute_dtype == "bfloat16"
    assert outside.get_layer("top_conv").compute_dtype == "float32"
    assert inside.get_layer("logits").compute_dtype == "float32"
    assert {variable.dtype for variable in inside.trainable_variables} == {"float32"}


def test_it_trains_in_bfloat16_and_seals_a_float32_classifier(tmp_path: Path) -> None:
    files = write_dataset(tmp_path / "files", per_diagnosis=24)
    with PictureStore(files / "ISIC_2019_Training_Input.zip") as pictures:
        examples = read_examples(
            name="made",
            ground_truth=files / "ISIC_2019_Training_GroundTruth.csv",
            metadata=files / "ISIC_2019_Training_Metadata.csv",
            pictures=pictures,
        )
        bundle = trained_in(tmp_path, examples, pictures, recipe=mixed("mixed_bfloat16", epochs="12"), version="narrow")
    manifest = read_bundle(bundle.directory).manifest
    assert manifest.provenance["precision"] == "mixed_bfloat16"
    assert manifest.parity["probabilities_max_difference"] < PARITY_TOLERANCE
    assert manifest.image_types[DERMOSCOPIC]["metrics"]["balanced_accuracy"]["value"] > 0.3  # chance is 0.125


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_stopped_run_goes_on_in_its_precision(precision: str, made: dict[str, Any], tmp_path: Path) -> None:
    import keras

    recipe = mixed(precision, epochs="2")

    def trained(folder: str, report: Any = lambda _: None) -> tuple[Any, Any]:
        keras.utils.set_random_seed(1)
        network = build_network(recipe.architecture)
        return network, fine_tune(network, recipe=recipe, run_folder=tmp_path / folder, report=report, **made)

    def stop(progress: Progress) -> None:
        if progress.done > 8:  # in the second epoch
            raise Stop

    whole, history = trained("whole")
    assert all(np.isfinite(each["loss"]) for each in history.epochs)
    with pytest.raises(Stop):
        trained("stopped", stop)
    found = load_checkpoint(tmp_path / "stopped")
    assert found is not None
    assert found[0] == 0
    resumed, again = trained("stopped")
    assert len(again.epochs) == 2
    for key, value in network_tensors(whole).items():
        assert np.allclose(network_tensors(resumed)[key], value, atol=2e-2), key
    assert whole.get_layer("top_conv").compute_dtype == "float32"
