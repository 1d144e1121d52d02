"""The network architectures: outputs, weights by name, and refusal of weights that do not fit."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from recognition.inference.network import (
    Architecture,
    WeightsError,
    build_network,
    load_imagenet_backbone,
    network_tensors,
    set_network_tensors,
)

REAL_CUT = Path(__file__).resolve().parents[4] / "shared/data/cases/weights/cut.npz"


def test_three_outputs_of_one_pass() -> None:
    network = build_network(Architecture("tiny", 32, (12, 6), (0.0, 0.5, 0.1)))
    logits, features, maps = network.predict_on_batch(np.zeros((2, 32, 32, 3), np.float32))
    assert logits.shape == (2, 8)
    assert features.shape == (2, maps.shape[-1])
    assert np.allclose(features, maps.mean(axis=(1, 2)), atol=1e-6)


def test_weights_go_out_and_in_by_name_whatever_was_built_before() -> None:
    first, second = (build_network(Architecture("tiny", 32)) for _ in range(2))
    tensors = network_tensors(first)
    assert list(tensors) == list(network_tensors(second))
    set_network_tensors(second, tensors)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    assert np.array_equal(first.predict_on_batch(pixels)[0], second.predict_on_batch(pixels)[0])


def test_weights_that_do_not_belong_are_refused_by_name() -> None:
    network = build_network(Architecture("tiny", 32))
    tensors = network_tensors(network)
    with pytest.raises(WeightsError, match="lack stem_conv/kernel"):
        set_network_tensors(network, {key: value for key, value in tensors.items() if key != "stem_conv/kernel"})
    with pytest.raises(WeightsError, match="extra/kernel"):
        set_network_tensors(network, tensors | {"extra/kernel": np.zeros(1)})
    with pytest.raises(WeightsError, match="logits/bias has shape"):
        set_network_tensors(network, tensors | {"logits/bias": np.zeros(9)})


def backbone_file(network: Any, path: Path, **changes: np.ndarray) -> Path:
    arrays = {
        f"{'normalization' if layer.name.startswith('normalization') else layer.name}/{index}": weight.numpy()
        for layer in network.layers
        for index, weight in enumerate(layer.weights)
        if layer.name != "logits"
    }
    np.savez(path, **(arrays | changes))
    return path


def test_a_backbone_file_fills_the_backbone_and_leaves_the_head(tmp_path: Path) -> None:
    source, target = (build_network(Architecture("tiny", 32)) for _ in range(2))
    head = network_tensors(target)["logits/kernel"]
    load_imagenet_backbone(target, backbone_file(source, tmp_path / "backbone.npz"))
    assert np.array_equal(network_tensors(target)["stem_conv/kernel"], network_tensors(source)["stem_conv/kernel"])
    assert np.array_equal(network_tensors(target)["logits/kernel"], head)


@pytest.fixture(scope="module")
def efficientnet() -> Any:
    return build_network(Architecture("efficientnetb4", 32))


@pytest.mark.parametrize("way", ["tensors", "file"])
def test_efficientnet_computes_with_the_normalisation_it_was_given(efficientnet: Any, way: str, tmp_path: Path) -> None:
    """Without it, Keras uses the constants from when the layer was built."""
    mean, variance = np.array([[0.485, 0.456, 0.406], [0.0524, 0.0502, 0.0506]], np.float32)
    if way == "tensors":
        given = {"normalization/mean": mean, "normalization/variance": variance}
        set_network_tensors(efficientnet, network_tensors(efficientnet) | given)
    else:
        mean = mean + np.float32(0.1)  # not what the other way left behind
        changes = {"normalization/0": mean, "normalization/1": variance}
        load_imagenet_backbone(efficientnet, backbone_file(efficientnet, tmp_path / "backbone.npz", **changes))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    weights = network_tensors(efficientnet)
    normalised = np.pad((pixels / 255.0 - mean) / np.sqrt(variance), ((0, 0), (0, 1), (0, 1), (0, 0)))
    window = normalised[0, 10:13, 10:13]  # the stem looks at every second place
    scale = weights["stem_bn/gamma"] / np.sqrt(weights["stem_bn/moving_variance"] + 1e-3)
    value = (
        np.einsum("hwc,hwcd->d", window, weights["stem_conv/kernel"]) - weights["stem_bn/moving_mean"]
    ) * scale + weights["stem_bn/beta"]
    stem = keras.Model(efficientnet.inputs[0], efficientnet.get_layer("stem_bn").output)
    assert np.allclose(stem(pixels)[0, 5, 5], value, atol=1e-4)


def test_a_backbone_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    network = build_network(Architecture("tiny", 32))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_imagenet_backbone(network, tmp_path / "absent.npz")
    with pytest.raises(WeightsError, match="stem_bn/0 has shape"):
        load_imagenet_backbone(network, backbone_file(network, tmp_path / "a.npz", **{"stem_bn/0": np.zeros(3)}))
    with pytest.raises(WeightsError, match="holds"):
        load_imagenet_backbone(network, backbone_file(network, tmp_path / "b.npz", **{"other/0": np.zeros(3)}))


def test_a_cut_backbone_file_is_one_sentence(tmp_path: Path) -> None:
    network = build_network(Architecture("tiny", 32))
    whole = backbone_file(network, tmp_path / "whole.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        cut.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match=r"cut\.npz cannot be read .* bring the whole file"):
            load_imagenet_backbone(network, cut)
    if REAL_CUT.is_file():
        with pytest.raises(WeightsError, match="bring the whole file"):
            load_imagenet_backbone(network, REAL_CUT)


@pytest.mark.parametrize(
    "arguments",
    [("resnet", 32), ("tiny", 0), ("tiny", 32, (4,), (0.1,)), ("tiny", 32, (), (1.0,)), ("tiny", 32, (0,), (0.1, 0.1))],
)
def test_architectures_this_version_cannot_build_are_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown|positive|dropout"):
        Architecture(*arguments)


def test_an_architecture_survives_the_manifest() -> None:
    architecture = Architecture("efficientnetb4", 224, (1024, 512, 256), (0.0, 0.5, 0.3, 0.0))
    assert Architecture.from_json(architecture.as_json()) == architecture
    assert architecture.head_layers == ("head_1", "head_2", "head_3", "logits")
