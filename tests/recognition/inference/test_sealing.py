"""Sealing: the graph answers as Keras does, and a broken network does not become a bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.inference.bundle import BundleError, read_bundle
from recognition.inference.export import ExportError, store_weights, write_graph
from recognition.inference.network import Architecture, build_network, network_tensors, set_network_tensors
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.runtime import KerasBackend, OnnxBackend
from recognition.inference.sealing import SealingError, check_outputs, draft_bundle
from tests.recognition.inference.colours import TINY, colour_network, probe_pixels, seal


def draft(network: Any, directory: Path) -> Any:
    return draft_bundle(network, architecture=TINY, preprocessing=Preprocessing(TINY.input_size), beside=directory)


@pytest.mark.parametrize("architecture", [TINY, Architecture("tiny", 45, (20, 10), (0.1, 0.2, 0.3))])
def test_the_graph_answers_as_keras_does(architecture: Architecture, tmp_path: Path) -> None:
    network = build_network(architecture)
    tensors = network_tensors(network)
    generator = np.random.default_rng(3)
    # Statistics and scales as after training: the ones and zeros of a fresh network would hide a swapped pair.
    for key, value in tensors.items():
        if key.split("/")[1] in ("gamma", "moving_variance"):
            tensors[key] = generator.uniform(0.5, 2.0, value.shape).astype(np.float32)
        elif key.split("/")[1] in ("beta", "moving_mean", "bias"):
            tensors[key] = generator.normal(0.0, 0.3, value.shape).astype(np.float32)
    set_network_tensors(network, tensors)
    store_weights(network, tmp_path / "weights.safetensors")
    write_graph(network, weights=tmp_path / "weights.safetensors", graph=tmp_path / "graph.onnx")
    size = architecture.input_size
    pixels = generator.uniform(0, 255, (5, size, size, 3)).astype(np.float32)
    seen = OnnxBackend(tmp_path / "graph.onnx").run(pixels)
    for mine, theirs in zip(KerasBackend(network).run(pixels), seen, strict=True):
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() < 1e-4 * np.abs(mine).max()
        assert mine.std() > 1e-4


def test_large_kernels_are_stored_as_float16_and_the_network_keeps_what_was_stored(tmp_path: Path) -> None:
    network = build_network(Architecture("tiny", 32, (1200,), (0.0, 0.0)))  # 32 x 1200 weights: large enough
    before = network_tensors(network)["head_1/kernel"]
    made = draft_bundle(
        network,
        architecture=Architecture("tiny", 32, (1200,), (0.0, 0.0)),
        preprocessing=Preprocessing(32),
        beside=tmp_path / "b",
    )
    after = network_tensors(network)["head_1/kernel"]
    assert np.array_equal(after, before.astype(np.float16).astype(np.float32))
    assert not np.array_equal(after, before)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    assert np.abs(KerasBackend(network).run(pixels)[0] - made.backend.run(pixels)[0]).max() < 1e-4


def test_a_layer_without_an_export_is_refused_by_name(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((32, 32, 3))
    maps = keras.layers.MaxPooling2D(name="surprise")(inputs)
    features = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(inputs, [keras.layers.Dense(8)(features), features, maps])
    store_weights(network, tmp_path / "weights.safetensors")
    with pytest.raises(ExportError, match="surprise"):
        write_graph(network, weights=tmp_path / "weights.safetensors", graph=tmp_path / "graph.onnx")


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    network = colour_network()
    set_network_tensors(network, network_tensors(network) | {"logits/bias": np.full(8, np.nan)})
    with pytest.raises(ExportError, match="logits/bias"):
        draft(network, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_another_graph_than_keras_is_not_sealed_and_nothing_is_left(tmp_path: Path) -> None:
    network = colour_network()
    made = draft(network, tmp_path / "bundle")
    tensors = network_tensors(network)
    set_network_tensors(network, tensors | {"top_conv/kernel": tensors["top_conv/kernel"] * 1.5})
    with pytest.raises(SealingError) as caught:
        seal(made, tmp_path / "bundle")
    assert caught.value.code == "parity"
    assert list(tmp_path.iterdir()) == []


def test_one_diagnosis_for_every_picture_is_not_sealed(tmp_path: Path) -> None:
    network = colour_network()
    bias = np.zeros(8, np.float32)
    bias[1] = 100.0
    for number, kernel_scale in enumerate((0.0, 1.0)):
        tensors = network_tensors(network)
        tensors |= {"logits/kernel": tensors["logits/kernel"] * kernel_scale, "logits/bias": bias}
        broken = colour_network()
        set_network_tensors(broken, tensors)
        with pytest.raises(SealingError) as caught:
            seal(draft(broken, tmp_path / f"{number}"), tmp_path / f"{number}")
        assert caught.value.code == "collapsed"


def test_probabilities_that_vary_but_always_name_the_same_are_degenerate() -> None:
    logits = np.zeros((32, 8), np.float32)
    logits[:, 1] = np.linspace(1.0, 5.0, 32)
    outputs = (logits, np.ones((32, 4), np.float32), np.ones((32, 2, 2, 4), np.float32))
    with pytest.raises(SealingError, match="100% of the probe is called NV"):
        check_outputs(keras_outputs=outputs, graph_outputs=outputs)


def test_answers_that_are_not_finite_are_not_sealed() -> None:
    good = (np.eye(8, dtype=np.float32), np.ones((8, 4), np.float32), np.ones((8, 2, 2, 4), np.float32))
    bad = (np.where(good[0] > 0, np.nan, 0.0).astype(np.float32), *good[1:])
    with pytest.raises(SealingError) as caught:
        check_outputs(keras_outputs=good, graph_outputs=bad)
    assert caught.value.code == "not_finite"


def test_a_refused_seal_leaves_the_bundle_that_was_there(tmp_path: Path) -> None:
    directory = tmp_path / "bundle"
    network = colour_network()
    first = seal(draft(network, directory), directory)
    with pytest.raises(BundleError):
        seal(draft(network, directory), directory, views=3)
    assert read_bundle(directory) == first
    second = seal(draft(network, directory), directory, version="second")
    assert read_bundle(directory) == second != first
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_parity_is_measured_and_sealed(sealed: Any) -> None:
    parity = sealed.manifest.parity
    assert parity["pictures"] == len(probe_pixels()[0])
    assert 0.0 <= parity["probabilities_max_difference"] < 1e-4
    assert parity["diagnoses_changed"] == 0
