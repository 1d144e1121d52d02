"""The network architectures: backbone, global average pooling, dense head, and their weights by name.

A network takes float32 (N, S, S, 3) in [0, 255] and gives three outputs in one pass:

    logits (N, 8) in the order of `taxonomy.CODES`, features (N, C) after global average pooling,
    maps (N, h, w, C) before it; C = 1792 and h = w = 7 for EfficientNetB4 at 224 px.

The architecture comes from this code and only the weights from a file, so a file can bring no code with it. Keras is
imported inside the functions, because the ONNX path needs `Architecture` without it.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CODES

if TYPE_CHECKING:
    import keras

BACKBONES: Final = ("efficientnetb4", "tiny")

LOGITS: Final = "logits"
FEATURES: Final = "features"
MAPS: Final = "maps"
OUTPUTS: Final = (LOGITS, FEATURES, MAPS)
HEAD_PREFIX: Final = "head_"

BLOCK7B_GAMMA: Final = "block7b_project_bn/gamma"
"""Zero in the ImageNet file, in which two kernels of this block are missing: the block is an identity until trained."""

NORMALIZATION_MEAN: Final = "normalization/mean"
NORMALIZATION_VARIANCE: Final = "normalization/variance"
"""Mean and variance per channel of pixels in [0, 1]: weights of EfficientNetB4, constants of the tiny network."""

TINY_CHANNELS: Final = 16


class WeightsError(Exception):
    """The weights do not fit the architecture; the message names the first that does not."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that `build_network` can build.

    - `backbone`: "efficientnetb4", or "tiny" (a few thousand weights; the same layer kinds; for tests and SMOKE);
    - `input_size`: side of the square input, pixels;
    - `head_units`: widths of the hidden dense layers (ReLU) between features and logits, empty for a linear head;
    - `head_dropouts`: dropout rate before the first dense layer and after each hidden one (one more than `head_units`).

    Raises ValueError for anything else.
    """

    backbone: str
    input_size: int
    head_units: tuple[int, ...] = ()
    head_dropouts: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"Backbone {self.backbone!r} is unknown; this version builds {', '.join(BACKBONES)}.")
        if self.input_size < 1 or any(units < 1 for units in self.head_units):
            raise ValueError("Sizes of an architecture are positive whole numbers.")
        if len(self.head_dropouts) != len(self.head_units) + 1:
            raise ValueError("An architecture has one head dropout more than hidden head layers.")
        if any(not 0.0 <= rate < 1.0 for rate in self.head_dropouts):
            raise ValueError("A dropout rate lies in [0, 1).")

    def as_json(self) -> dict[str, object]:
        """Plain values for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`; raises ValueError, TypeError or KeyError when the values do not fit.

        Older manifests also say whether a head for age, sex and site was trained with the network; no network has one.
        """
        if values.get("metadata"):
            raise ValueError("it has a metadata head, which this version does not have any more.")
        return cls(
            backbone=str(values["backbone"]),
            input_size=int(values["input_size"]),
            head_units=tuple(int(units) for units in values["head_units"]),
            head_dropouts=tuple(float(rate) for rate in values["head_dropouts"]),
        )

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Names of the dense layers from features to logits, in order; the last one gives the logits."""
        return (*(f"{HEAD_PREFIX}{number}" for number in range(1, len(self.head_units) + 1)), LOGITS)


def build_network(architecture: Architecture) -> "keras.Model":
    """The Keras network with fresh random weights and the outputs [logits, features, maps]."""
    import keras

    inputs = keras.Input((architecture.input_size, architecture.input_size, 3), name="pixels")
    maps = _efficientnetb4(inputs) if architecture.backbone == "efficientnetb4" else _tiny(inputs)
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES)(maps)
    logits = _head(features, architecture)
    return keras.Model(inputs, [logits, features, maps], name=f"teri_{architecture.backbone}")


def build_head(architecture: Architecture, width: int) -> "keras.Model":
    """The dense head alone, features (N, width) -> logits (N, 8), with the layer names of the whole network."""
    import keras

    inputs = keras.Input((width,), name=FEATURES)
    return keras.Model(inputs, _head(inputs, architecture), name="teri_head")


def _head(features: Any, architecture: Architecture) -> Any:
    import keras

    hidden = features
    for number, (units, rate) in enumerate(
        zip(architecture.head_units, architecture.head_dropouts, strict=False), start=1
    ):
        hidden = keras.layers.Dropout(rate, name=f"{HEAD_PREFIX}{number}_dropout")(hidden)
        hidden = keras.layers.Dense(units, activation="relu", name=f"{HEAD_PREFIX}{number}")(hidden)
    hidden = keras.layers.Dropout(architecture.head_dropouts[-1], name=f"{LOGITS}_dropout")(hidden)
    return keras.layers.Dense(len(CODES), name=LOGITS, dtype="float32")(hidden)


def _efficientnetb4(inputs: Any) -> Any:
    import keras

    # weights=None on purpose: a graph built with weights="imagenet" has one more Rescaling layer. It loads a
    # weights=None checkpoint without an error, and its probabilities are wrong by up to 0.147.
    backbone = keras.applications.EfficientNetB4(include_top=False, weights=None, input_tensor=inputs)
    return backbone.output


def _tiny(inputs: Any) -> Any:
    """A small network with every layer kind of EfficientNet: stem, one depthwise block with squeeze and skip, top."""
    import keras

    layers = keras.layers
    x = layers.Rescaling(1.0 / 255.0)(inputs)
    x = layers.Normalization(axis=-1, mean=[0.5, 0.5, 0.5], variance=[0.06, 0.06, 0.06])(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="stem_pad")(x)
    x = layers.Conv2D(TINY_CHANNELS, 3, strides=2, padding="valid", use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    skip = layers.Activation("swish", name="stem_activation")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block1_dwconv")(skip)
    x = layers.BatchNormalization(name="block1_bn")(x)
    x = layers.Activation("swish", name="block1_activation")(x)
    squeeze = layers.GlobalAveragePooling2D(name="block1_squeeze")(x)
    squeeze = layers.Reshape((1, 1, TINY_CHANNELS), name="block1_reshape")(squeeze)
    squeeze = layers.Conv2D(4, 1, activation="swish", name="block1_reduce")(squeeze)
    squeeze = layers.Conv2D(TINY_CHANNELS, 1, activation="sigmoid", name="block1_expand")(squeeze)
    x = layers.Multiply(name="block1_excite")([x, squeeze])
    x = layers.Add(name="block1_add")([x, skip])
    x = layers.Conv2D(2 * TINY_CHANNELS, 3, strides=2, padding="same", use_bias=False, name="top_conv")(x)
    x = layers.BatchNormalization(name="top_bn")(x)
    return layers.Activation("swish", name="top_activation")(x)


def network_tensors(network: "keras.Model") -> dict[str, NDArray[np.float32]]:
    """Every weight as float32, keyed "<layer>/<weight>" in the network's own order.

    Automatic layer names have a counter ("normalization_3"); the key leaves it out.
    """
    return {key: np.asarray(numpy_of(value), dtype=np.float32) for key, value in _variables(network).items()}


def numpy_of(variable: Any) -> NDArray[Any]:
    """A copy of a Keras variable's value, on any backend: `variable.numpy()` fails on a PyTorch one with a gradient."""
    import keras

    return np.array(keras.ops.convert_to_numpy(keras.ops.stop_gradient(variable)))


def set_network_tensors(network: "keras.Model", tensors: Mapping[str, NDArray[Any]]) -> None:
    """Load the weights into the network. Raises WeightsError unless names and shapes are exactly those of it."""
    variables = _variables(network)
    if absent := sorted(variables.keys() - tensors.keys()):
        raise WeightsError(f"The weights lack {absent[0]} ({len(absent)} missing in all).")
    if unknown := sorted(tensors.keys() - variables.keys()):
        raise WeightsError(f"The weights hold {unknown[0]}, which the network has not ({len(unknown)} in all).")
    for key, variable in variables.items():
        value = np.asarray(tensors[key], dtype=np.float32)
        if tuple(variable.shape) != value.shape:
            raise WeightsError(f"{key} has shape {value.shape}; the network expects {tuple(variable.shape)}.")
        variable.assign(value)
    settle_normalization(network)


def settle_normalization(network: "keras.Model") -> None:
    """Make the normalisation layers use their current mean and variance.

    Keras copies both into constants when it builds, adapts or loads a layer. Assigning the variables does not change
    the copies, so the network would compute without its normalisation and answer badly, without an error. Call this
    before the network first runs: a compiled function keeps its constants.
    """
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def load_imagenet_backbone(network: "keras.Model", path: Path, *, block7b_gamma: float = 0.0) -> str:
    """Load the ImageNet backbone of an .npz file into an EfficientNetB4 network; the head keeps its weights.

    The file has one array per weight, "<layer name>/<index in layer.get_weights()>". If the file's gamma of block7b is
    all zero, it is set to `block7b_gamma`: 0 keeps the block an identity, a small positive value (0.1) lets it learn.

    Returns the file's sha256 (hex). Raises WeightsError when the file is missing, unreadable or does not fit.
    """
    try:
        with path.open("rb") as stream:
            content_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                arrays = {key: np.asarray(archive[key], dtype=np.float32) for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"The ImageNet weights at {path} cannot be read ({str(error).rstrip('.')}): bring the whole file there "
            "again, or remove it, so that Keras's own are downloaded."
        ) from error
    expected = 0
    for layer in network.layers:
        if not layer.weights or layer.name in _head_names(network):
            continue
        name = _stable_name(layer)
        expected += len(layer.weights)
        values = [arrays.get(f"{name}/{index}") for index in range(len(layer.weights))]
        for index, (value, variable) in enumerate(zip(values, layer.weights, strict=True)):
            if value is None:
                raise WeightsError(f"The ImageNet weights lack {name}/{index}.")
            if value.shape != tuple(variable.shape):
                raise WeightsError(
                    f"{name}/{index} has shape {value.shape}; the network expects {tuple(variable.shape)}."
                )
            variable.assign(value)
    if expected != len(arrays):
        raise WeightsError(f"The file holds {len(arrays)} arrays; the backbone has {expected} weights.")
    settle_normalization(network)
    gamma = _variables(network).get(BLOCK7B_GAMMA)
    if gamma is not None and block7b_gamma and not np.any(numpy_of(gamma)):
        gamma.assign(np.full(tuple(gamma.shape), block7b_gamma, dtype=np.float32))
    return content_sha256


def _head_names(network: "keras.Model") -> set[str]:
    return {layer.name for layer in network.layers if layer.name == LOGITS or layer.name.startswith(HEAD_PREFIX)}


def _stable_name(layer: Any) -> str:
    import keras

    return "normalization" if isinstance(layer, keras.layers.Normalization) else str(layer.name)


def _variables(network: "keras.Model") -> dict[str, Any]:
    # Dropout seeds are state, not weights: `layer.weights` leaves them out.
    return {
        f"{_stable_name(layer)}/{variable.name}": variable for layer in network.layers for variable in layer.weights
    }
