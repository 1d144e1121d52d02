"""Export of a Keras network: its weights to safetensors, its graph to ONNX with the same file as external data.

Keras's own ONNX export and tf2onnx's `from_function` give a broken EfficientNet, and both need the TensorFlow
backend. This export needs Keras alone, on any backend. It knows exactly the layer kinds that `network` uses and
refuses all others.

    in:   pixels   float32 (N, S, S, 3) in [0, 255]
    out:  logits   float32 (N, 8),  features float32 (N, C),  maps float32 (N, h, w, C)

Inside the graph pictures are (N, C, H, W). Nodes cast and transpose the stored float16 kernels; ONNX Runtime
removes these nodes when it loads the graph. So the weights are on disk only once.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.inference.bundle import StoredTensor, locate_tensors
from recognition.inference.network import FEATURES, LOGITS, MAPS, network_tensors

if TYPE_CHECKING:
    import keras

HALF_FROM_SIZE: Final = 2**15
"""Kernels with at least so many weights are stored as float16, smaller ones as float32."""

OPSET: Final = 17
IR_VERSION: Final = 9
"""Old versions, which every ONNX Runtime of the last years reads."""

PIXELS: Final = "pixels"
BATCH: Final = "N"


class ExportError(Exception):
    """The network cannot be exported; the message names the layer."""


def store_weights(network: "keras.Model", path: Path) -> None:
    """Write every weight of the network to a safetensors file, large kernels rounded to float16.

    Raises ExportError when a weight is not finite, or too large for float16.
    """
    from safetensors.numpy import save_file

    stored: dict[str, NDArray[Any]] = {}
    for key, value in network_tensors(network).items():
        half = value.ndim >= 2 and value.size >= HALF_FROM_SIZE
        # An overflow gives an infinity, which the check below refuses.
        with np.errstate(over="ignore"):
            rounded = value.astype(np.float16 if half else np.float32)
        if not np.all(np.isfinite(rounded)):
            raise ExportError(f"The weight {key} is not finite{' in float16' if half else ''}; nothing was exported.")
        stored[key] = np.asarray(rounded, order="C")  # ascontiguousarray would give a number one axis
    save_file(stored, path, metadata={"format": "teri"})


def write_graph(network: "keras.Model", *, weights: Path, graph: Path) -> None:
    """Write the ONNX graph of the network. Its initialisers are the tensors in the file `weights`, in the same folder.

    Raises ExportError for a layer kind or setting that is not known here.
    """
    _Exporter(network, weights.name, locate_tensors(weights)).write(graph)


class _Exporter:
    """Collects the nodes and initialisers of one network."""

    def __init__(self, network: "keras.Model", weights_name: str, stored: Mapping[str, StoredTensor]) -> None:
        self.network = network
        self.weights_name = weights_name
        self.stored = stored
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []
        self.names: dict[int, str] = {}  # id of a Keras tensor -> name of its value in the graph

    def write(self, graph: Path) -> None:
        import onnx
        from onnx import TensorProto, helper

        size = int(self.network.input_shape[1])
        logits, features, maps = self.network.outputs
        self.nodes.append(helper.make_node("Transpose", [PIXELS], ["pixels_nchw"], perm=[0, 3, 1, 2]))
        self.names[id(self.network.inputs[0])] = "pixels_nchw"
        for layer in self.network.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            handle = _HANDLERS.get(type(layer).__name__)
            if handle is None:
                raise ExportError(f"The layer {layer.name} is a {type(layer).__name__}, which has no export.")
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            self.names[id(layer.output)] = handle(self, layer, [self.names[id(tensor)] for tensor in inputs])
        self.node("Transpose", [self.names[id(maps)]], MAPS, perm=[0, 2, 3, 1])
        for name, tensor in ((LOGITS, logits), (FEATURES, features)):
            if self.names[id(tensor)] != name:
                self.node("Identity", [self.names[id(tensor)]], name)
        described = helper.make_graph(
            self.nodes,
            "teri",
            [helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, [BATCH, size, size, 3])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *(int(s) for s in tensor.shape[1:])])
                for name, tensor in ((LOGITS, logits), (FEATURES, features), (MAPS, maps))
            ],
            initializer=self.initialisers,
        )
        model = helper.make_model(
            described, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="teri"
        )
        graph.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(graph))

    # --- used by the handlers below

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initialisers.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, layer: Any, weight: str, perm: tuple[int, ...] | None = None) -> str:
        """The value name of a stored weight: external data, cast to float32 and transposed where needed."""
        from onnx import StringStringEntryProto, TensorProto

        key = f"{layer.name}/{weight}"
        if (stored := self.stored.get(key)) is None:
            raise ExportError(f"The weights file lacks {key}.")
        half = stored.dtype == np.dtype("<f2")
        tensor = TensorProto(
            name=key,
            data_type=TensorProto.FLOAT16 if half else TensorProto.FLOAT,
            dims=stored.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for name, value in (
            ("location", self.weights_name),
            ("offset", str(stored.offset)),
            ("length", str(stored.length)),
        ):
            tensor.external_data.append(StringStringEntryProto(key=name, value=value))
        self.initialisers.append(tensor)
        value = key
        if half:
            value = self.node("Cast", [value], f"{key}:float32", to=TensorProto.FLOAT)
        if perm is not None:
            value = self.node("Transpose", [value], f"{key}:onnx", perm=list(perm))
        return value

    def activation(self, function: Any, value: str, name: str) -> str:
        word = function.__name__
        if word == "linear":
            return value
        if word in ("silu", "swish"):
            gate = self.node("Sigmoid", [value], f"{name}:gate")
            return self.node("Mul", [value, gate], f"{name}:swish")
        if word in ("relu", "sigmoid"):
            return self.node(word.capitalize(), [value], f"{name}:{word}")
        raise ExportError(f"The layer {name} has the activation {word}, which has no export.")


def _convolution(exporter: _Exporter, layer: Any, inputs: list[str], perm: tuple[int, ...], group: int) -> str:
    if layer.data_format != "channels_last" or tuple(layer.dilation_rate) != (1, 1) or getattr(layer, "groups", 1) != 1:
        raise ExportError(f"The layer {layer.name} is a convolution of a kind that has no export.")
    kernel = [int(side) for side in layer.kernel_size]
    strides = [int(step) for step in layer.strides]
    pads = [0, 0, 0, 0]
    if layer.padding == "same":
        for axis in (0, 1):
            side = int(layer.input.shape[1 + axis])
            # TensorFlow's "same": the odd pixel goes to the end, which ONNX's SAME_UPPER also says but deprecates.
            total = max((math.ceil(side / strides[axis]) - 1) * strides[axis] + kernel[axis] - side, 0)
            pads[axis], pads[axis + 2] = total // 2, total - total // 2
    value = [*inputs, exporter.weight(layer, "kernel", perm)]
    if layer.use_bias:
        value.append(exporter.weight(layer, "bias"))
    output = exporter.node("Conv", value, layer.name, kernel_shape=kernel, strides=strides, pads=pads, group=group)
    return exporter.activation(layer.activation, output, layer.name)


def _conv2d(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    return _convolution(exporter, layer, inputs, (3, 2, 0, 1), 1)  # (h, w, in, out) -> (out, in, h, w)


def _depthwise(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    if layer.depth_multiplier != 1:
        raise ExportError(f"The layer {layer.name} has a depth multiplier, which has no export.")
    return _convolution(
        exporter, layer, inputs, (2, 3, 0, 1), int(layer.input.shape[-1])
    )  # (h, w, c, 1) -> (c, 1, h, w)


def _batch_normalization(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = [exporter.weight(layer, name) for name in names]
    return exporter.node("BatchNormalization", [*inputs, *weights], layer.name, epsilon=float(layer.epsilon))


def _rescaling(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    scale = exporter.constant(f"{layer.name}:scale", np.asarray(layer.scale, np.float32))
    offset = exporter.constant(f"{layer.name}:offset", np.asarray(layer.offset, np.float32))
    return exporter.node("Add", [exporter.node("Mul", [*inputs, scale], f"{layer.name}:mul"), offset], layer.name)


def _normalization(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    import keras

    # Six numbers, written into the graph itself with the shape (1, C, 1, 1).
    mean = np.asarray(keras.ops.convert_to_numpy(layer.mean), np.float32).reshape(1, -1, 1, 1)
    variance = np.asarray(keras.ops.convert_to_numpy(layer.variance), np.float32).reshape(1, -1, 1, 1)
    deviation = np.maximum(np.sqrt(variance), np.float32(keras.backend.epsilon()))
    centred = exporter.node("Sub", [*inputs, exporter.constant(f"{layer.name}:mean", mean)], f"{layer.name}:centred")
    return exporter.node("Div", [centred, exporter.constant(f"{layer.name}:deviation", deviation)], layer.name)


def _zero_padding(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    pads = exporter.constant(f"{layer.name}:pads", np.asarray([0, 0, top, left, 0, 0, bottom, right], np.int64))
    return exporter.node("Pad", [*inputs, pads], layer.name, mode="constant")


def _activation(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    return exporter.activation(layer.activation, inputs[0], layer.name)


def _pooling(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    if layer.keepdims:
        raise ExportError(f"The layer {layer.name} keeps its dimensions, which has no export.")
    return exporter.node("Flatten", [exporter.node("GlobalAveragePool", inputs, f"{layer.name}:pool")], layer.name)


def _reshape(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    target = tuple(int(side) for side in layer.output.shape[1:])
    if len(target) != 3 or target[:2] != (1, 1) or len(layer.input.shape) != 2:
        raise ExportError(f"The layer {layer.name} reshapes to {target}; only a vector to (1, 1, C) has an export.")
    shape = exporter.constant(f"{layer.name}:shape", np.asarray([-1, target[2], 1, 1], np.int64))
    return exporter.node("Reshape", [*inputs, shape], layer.name)


def _multiply(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    return exporter.node("Mul", inputs, layer.name)


def _add(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    return exporter.node("Add", inputs, layer.name)


def _dense(exporter: _Exporter, layer: Any, inputs: list[str]) -> str:
    output = exporter.node(
        "Gemm", [*inputs, exporter.weight(layer, "kernel"), exporter.weight(layer, "bias")], layer.name
    )
    return exporter.activation(layer.activation, output, layer.name)


def _dropout(_: _Exporter, layer: Any, inputs: list[str]) -> str:
    return inputs[0]  # dropout does nothing outside training


_HANDLERS: Final[Mapping[str, Callable[[_Exporter, Any, list[str]], str]]] = {
    "Activation": _activation,
    "Add": _add,
    "BatchNormalization": _batch_normalization,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": _dropout,
    "GlobalAveragePooling2D": _pooling,
    "Multiply": _multiply,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
}
