"""The download of Keras's ImageNet weights: its checksum, its normalisation, and a clear sentence when it fails."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from recognition.fit import imagenet
from recognition.fit.imagenet import downloaded_imagenet_weights
from recognition.inference.network import (
    Architecture,
    WeightsError,
    build_network,
    load_imagenet_backbone,
    network_tensors,
)


def test_address_and_checksum_are_those_of_keras() -> None:
    from keras.src.applications import efficientnet

    assert efficientnet.BASE_WEIGHTS_PATH + imagenet.FILE == imagenet.ORIGIN
    assert efficientnet.WEIGHTS_HASHES["b4"][1] == imagenet.MD5
    assert tuple(efficientnet.IMAGENET_STDDEV_RGB) == imagenet.DEVIATIONS


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it writes the old format
def test_the_file_of_keras_becomes_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    published = keras.applications.EfficientNetB4(include_top=False, weights=None)
    normalization = next(each for each in published.layers if isinstance(each, keras.layers.Normalization))
    # As in the published file: the deviations in the place of the variances.
    normalization.set_weights([np.array([0.485, 0.456, 0.406]), np.array(imagenet.DEVIATIONS), np.array(0)])
    source = tmp_path / "source.h5"
    published.save(source)
    monkeypatch.setattr(imagenet, "ORIGIN", source.as_uri())
    monkeypatch.setattr(imagenet, "MD5", hashlib.md5(source.read_bytes(), usedforsecurity=False).hexdigest())
    stored = downloaded_imagenet_weights(tmp_path / "weights")
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [stored.name]
    source.unlink()
    assert downloaded_imagenet_weights(tmp_path / "weights") == stored  # not downloaded again

    network = build_network(Architecture("efficientnetb4", 32))
    load_imagenet_backbone(network, stored)
    tensors = network_tensors(network)
    assert tensors["normalization/variance"] == pytest.approx(np.square(imagenet.DEVIATIONS))
    kernel = published.get_layer("block7b_project_conv").get_weights()[0]
    assert np.array_equal(tensors["block7b_project_conv/kernel"], kernel)


def test_without_internet_or_with_a_cut_file_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "ORIGIN", (tmp_path / "absent.h5").as_uri())
    with pytest.raises(WeightsError, match=r"could not be downloaded .* name it with IMAGENET_WEIGHTS"):
        downloaded_imagenet_weights(tmp_path / "weights")
    (tmp_path / "cut.h5").write_bytes(b"only the beginning")
    monkeypatch.setattr(imagenet, "ORIGIN", (tmp_path / "cut.h5").as_uri())
    with pytest.raises(WeightsError, match="Incomplete or corrupted"):
        downloaded_imagenet_weights(tmp_path / "weights")
    assert not list((tmp_path / "weights").glob("*.npz"))
