"""The heatmap: equal to Grad-CAM with the full gradient, None without evidence, drawn in the photo's shape."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognition.inference.heatmap import DenseHead, grad_cam, render_overlay
from recognition.inference.network import Architecture, build_head, build_network, network_tensors
from recognition.inference.preprocessing import Preprocessing


def tape_cam(head: Any, maps: np.ndarray, position: int) -> np.ndarray:
    """Grad-CAM of the textbook: TensorFlow's gradient of one logit with respect to the maps (1, h, w, C)."""
    import tensorflow as tf

    watched = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        logit = head(tf.reduce_mean(watched, axis=(1, 2)), training=False)[0, position]
    weights = tf.reduce_mean(tape.gradient(logit, watched), axis=(1, 2))
    evidence = np.maximum(np.asarray(tf.einsum("hwc,c->hw", watched[0], weights[0])), 0.0)
    return np.asarray(evidence / evidence.max())


@pytest.mark.parametrize(
    ("units", "width"), [((), 1792), ((1024, 512, 256), 1792), ((16,), 32)], ids=["linear", "published", "small"]
)
def test_equal_to_the_full_gradient_tape(units: tuple[int, ...], width: int) -> None:
    architecture = Architecture("tiny", 32, units, (0.0, *(0.3 for _ in units)))
    head = build_head(architecture, width)
    numpy_head = DenseHead.from_tensors(architecture, network_tensors(head))
    maps = np.random.default_rng(4).normal(0.2, 1.0, (1, 7, 7, width)).astype(np.float32)
    compared = 0
    for position in range(8):
        mine = grad_cam(numpy_head, features=maps[0].mean(axis=(0, 1)), maps=maps[0], position=position)
        if mine is not None:
            assert np.abs(mine - tape_cam(head, maps, position)).max() < 1e-5
            compared += 1
    assert compared


def test_equal_to_the_tape_through_the_whole_tiny_network() -> None:
    import keras

    architecture = Architecture("tiny", 32, (16,), (0.0, 0.2))
    network = build_network(architecture)
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    logits, features, maps = (np.asarray(output) for output in network.predict_on_batch(pixels))
    position = int(logits[0].argmax())
    tensors = network_tensors(network)
    head = keras.Model(network.get_layer("features").output, network.outputs[0])
    mine = grad_cam(
        DenseHead.from_tensors(architecture, tensors), features=features[0], maps=maps[0], position=position
    )
    assert mine is not None
    assert np.abs(mine - tape_cam(head, maps, position)).max() < 1e-5


def test_no_evidence_is_none() -> None:
    head = DenseHead(((-np.ones((4, 8), np.float32), np.zeros(8, np.float32)),))
    maps = np.ones((3, 3, 4), np.float32)
    assert grad_cam(head, features=maps.mean(axis=(0, 1)), maps=maps, position=2) is None
    assert grad_cam(head, features=np.zeros(4), maps=np.zeros((3, 3, 4)), position=2) is None


@pytest.mark.parametrize(
    ("photo", "overlay"), [((600, 450), (256, 192)), ((3000, 4000), (192, 256)), ((90, 90), (256, 256))]
)
def test_the_overlay_has_the_shape_of_the_photo(photo: tuple[int, int], overlay: tuple[int, int]) -> None:
    png = render_overlay(np.eye(7), photo_size=photo, preprocessing=Preprocessing(224))
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", overlay)


def test_the_overlay_is_where_the_evidence_is_and_nowhere_else() -> None:
    heatmap = np.zeros((7, 7))
    heatmap[0, 6] = 1.0  # upper right
    png = render_overlay(heatmap, photo_size=(800, 600), preprocessing=Preprocessing(224))
    alpha = np.asarray(Image.open(io.BytesIO(png)))[..., 3]
    assert alpha[0, -1] > 150
    assert not alpha[100:, :120].any()
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert row < 192 / 7 < 256 * 6 / 7 < column


def test_the_overlay_lies_on_the_part_of_the_photo_that_the_network_saw() -> None:
    left_edge = np.zeros((8, 8))
    left_edge[:, 0] = 1.0
    strongest = {
        fit: int(
            np.asarray(
                Image.open(
                    io.BytesIO(
                        render_overlay(left_edge, photo_size=(800, 400), preprocessing=Preprocessing(64, fit=fit))
                    )
                )
            )[64, :, 3].argmax()
        )
        for fit in ("stretch", "crop")
    }
    assert strongest["stretch"] < 30
    assert 64 <= strongest["crop"] < 80  # the middle begins after a quarter of the width
    upper = np.zeros((8, 8))
    upper[1] = 1.0  # of a padded square of 256 px, the photo has the rows 64 to 192
    png = render_overlay(upper, photo_size=(800, 400), preprocessing=Preprocessing(64, fit="pad"))
    alpha = np.asarray(Image.open(io.BytesIO(png)))[..., 3]
    assert alpha.shape == (128, 256)
    assert alpha.max(initial=0, where=np.arange(128)[:, None] > 20) < 40
    png = render_overlay(np.roll(upper, 1, axis=0), photo_size=(800, 400), preprocessing=Preprocessing(64, fit="pad"))
    assert np.asarray(Image.open(io.BytesIO(png)))[:20, :, 3].max() > 120


def test_more_evidence_is_lighter_at_every_step() -> None:
    ramp = np.tile(np.linspace(0.0, 1.0, 64), (64, 1))
    png = render_overlay(ramp, photo_size=(256, 256), preprocessing=Preprocessing(64))
    colours = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=float)[128]
    luma = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luma) > -1.5)
    assert luma[-1] - luma[0] > 120
    assert np.all(np.diff(colours[:, 3]) >= 0)


def test_a_photo_without_extent_has_no_overlay() -> None:
    with pytest.raises(ValueError, match="overlay"):
        render_overlay(np.eye(7), photo_size=(0, 10), preprocessing=Preprocessing(224))
