"""EfficientNetB4 (Tan and Le 2019) in PyTorch, with the weight names of the Keras network of `inference.network`.

It computes the same as the Keras network (a test compares the two). With frozen statistics, a convolution and the
BatchNorm after it are one convolution with the kernel `kernel * scale`, scale = gamma / sqrt(variance + 1e-3), and the
bias `beta - mean * scale`. The parameters are kernel and beta, so a step is the same as in Keras. If BatchNorm is
trained as well (`learn_norms`), training normalises by the statistics of the batch, and `measure_norms` measures the
statistics for serving afterwards.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from recognition.fit.pytorch.depthwise import DepthwiseConvolution
from recognition.inference.network import LOGITS, NORMALIZATION_MEAN, NORMALIZATION_VARIANCE
from recognition.taxonomy import CODES

Tensors = Mapping[str, NDArray[np.float32]]

STAGES: Final = ((1, 2, 1), (2, 4, 2), (3, 4, 2), (4, 6, 2), (5, 6, 1), (6, 8, 2), (7, 2, 1))
"""Stage, number of blocks, stride of the first: EfficientNet-B0 (Tan and Le 2019, table 1), 1.8 times as deep."""

EPSILON: Final = 1e-3
DROP_CONNECT: Final = 0.2
"""Keras's defaults in EfficientNet: epsilon of BatchNorm, and stochastic depth of the last block (0 for the first)."""


class EfficientNetB4(nn.Module):  # type: ignore[misc]  # PyTorch is not there for mypy
    """Pixels (N, 3, S, S) in [0, 255] -> logits float32 (N, 8). `tensors` are those of the Keras network, by name."""

    def __init__(self, tensors: Tensors, *, head_dropout: float) -> None:
        super().__init__()
        self._tensors = dict(tensors)
        mean, variance = (torch.from_numpy(tensors[key].copy()) for key in (NORMALIZATION_MEAN, NORMALIZATION_VARIANCE))
        self.register_buffer("mean", mean.reshape(1, 3, 1, 1))
        self.register_buffer("deviation", variance.sqrt().reshape(1, 3, 1, 1))
        self.stem = _Convolution(tensors, "stem_conv", "stem_bn", stride=2)
        blocks: list[_Block] = []
        count = sum(number for _, number, _ in STAGES)
        for stage, number, stride in STAGES:
            for place in range(number):
                blocks.append(
                    _Block(
                        tensors,
                        f"block{stage}{chr(ord('a') + place)}_",
                        stride=1 if place else stride,
                        skips=place > 0,
                        drop=DROP_CONNECT * len(blocks) / count,
                    )
                )
        self.blocks = nn.ModuleList(blocks)
        self.top = _Convolution(tensors, "top_conv", "top_bn")
        self.head = nn.Linear(self.top.weight.shape[0], len(CODES))
        self.head.weight.data.copy_(torch.from_numpy(tensors[f"{LOGITS}/kernel"].T.copy()))
        self.head.bias.data.copy_(torch.from_numpy(tensors[f"{LOGITS}/bias"].copy()))
        self.head_dropout = head_dropout

    def freeze(self, prefixes: tuple[str, ...]) -> None:
        """Freeze the stem and the blocks whose names begin with one of these prefixes."""
        for part in (self.stem, *self.blocks):
            if prefixes and part.name.startswith(prefixes):
                part.requires_grad_(False)

    def learn_norms(self) -> None:
        """Train BatchNorm wherever the convolution before it is trained."""
        for part in self._convolutions():
            part.learn_norm()

    def measure_norms(self, batches: Iterable[Any]) -> None:
        """Set the statistics of every trained BatchNorm to their mean over these batches (N, 3, S, S).

        Dropout and stochastic depth are off; each batch is normalised by its own statistics, as in training.
        """
        learned = [part for part in self._convolutions() if part.learns_norm]
        self.eval()
        for number, batch in enumerate(batches):
            for part in learned:
                part.measuring = 1.0 / (number + 1)
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
                self(batch)
        for part in learned:
            part.measuring = None

    def _convolutions(self) -> "list[_Convolution]":
        return [part for part in self.modules() if isinstance(part, _Convolution)]

    def forward(self, pixels: Any) -> Any:
        """The logits (N, 8)."""
        x = functional.silu(self.stem((pixels / 255.0 - self.mean) / self.deviation))
        for block in self.blocks:
            x = block(x)
        features = functional.silu(self.top(x)).mean((2, 3), dtype=torch.float32)
        with torch.autocast("cpu", enabled=False):
            return self.head(functional.dropout(features, self.head_dropout, self.training))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """All weights by the Keras network's names, in its order and shapes."""
        found = {key: value.copy() for key, value in self._tensors.items()}
        for part in self.modules():
            if isinstance(part, (_Convolution, _Squeeze)):
                found |= part.named()
        found |= {f"{LOGITS}/kernel": _array(self.head.weight).T.copy(), f"{LOGITS}/bias": _array(self.head.bias)}
        return found


class _Convolution(nn.Module):  # type: ignore[misc]
    """A convolution and the BatchNorm after it. `name` and `norm` are the names of the Keras layers."""

    def __init__(self, tensors: Tensors, name: str, norm: str, *, stride: int = 1, depthwise: bool = False) -> None:
        super().__init__()
        self.name, self._norm, self._depthwise, self._stride = name, norm, depthwise, stride
        kernel = tensors[f"{name}/kernel"].transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        gamma, beta, mean, variance = (
            torch.from_numpy(tensors[f"{norm}/{key}"].copy())
            for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        self.weight = nn.Parameter(torch.from_numpy(kernel.copy()))
        self.beta = nn.Parameter(beta)
        self.gamma = nn.Parameter(gamma, requires_grad=False)
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self.learns_norm = False
        self.measuring: float | None = None

    def learn_norm(self) -> None:
        """Train gamma, and normalise by the batch in training, if the kernel is trained."""
        self.learns_norm = self.weight.requires_grad
        self.gamma.requires_grad_(self.learns_norm)

    def forward(self, x: Any) -> Any:
        if self.learns_norm and self.training:
            return functional.batch_norm(
                self._convolved(x, self.weight, None), None, None, self.gamma, self.beta, training=True, eps=EPSILON
            )
        if self.measuring is not None:
            y = self._convolved(x, self.weight, None)
            return functional.batch_norm(
                y, self.mean, self.variance, self.gamma, self.beta,
                training=True, momentum=self.measuring, eps=EPSILON,
            )  # fmt: skip
        scale = self.gamma / torch.sqrt(self.variance + EPSILON)
        return self._convolved(x, self.weight * scale.reshape(-1, 1, 1, 1), self.beta - self.mean * scale)

    def _convolved(self, x: Any, weight: Any, bias: Any) -> Any:
        size = weight.shape[2]
        pad = size // 2
        if self._stride == 2 and x.shape[-1] % 2 == 0:
            # Keras's EfficientNet pads an even side with one pixel less at the beginning.
            x, pad = functional.pad(x, (pad - 1, pad, pad - 1, pad)), 0
        if not self._depthwise:
            return functional.conv2d(x, weight, bias, stride=self._stride, padding=pad)
        if not self.weight.requires_grad or not torch.is_grad_enabled():
            return functional.conv2d(x, weight, bias, stride=self._stride, padding=pad, groups=len(weight))
        if bias is None:
            bias = torch.zeros(len(weight))
        if torch.is_autocast_enabled("cpu"):  # autocast does not cast the inputs of a custom function
            x, weight, bias = (each.to(torch.get_autocast_dtype("cpu")) for each in (x, weight, bias))
        return DepthwiseConvolution.apply(x, weight, bias, self._stride, pad)

    def named(self) -> dict[str, NDArray[np.float32]]:
        """The weights by their Keras names."""
        kernel = _array(self.weight).transpose((2, 3, 0, 1) if self._depthwise else (2, 3, 1, 0))
        return {
            f"{self.name}/kernel": np.ascontiguousarray(kernel),
            f"{self._norm}/gamma": _array(self.gamma),
            f"{self._norm}/beta": _array(self.beta),
            f"{self._norm}/moving_mean": _array(self.mean),
            f"{self._norm}/moving_variance": _array(self.variance),
        }


class _Squeeze(nn.Module):  # type: ignore[misc]
    """Squeeze and excitation: each channel of x times a gate that is computed from the means of all channels."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix
        for name in ("reduce", "expand"):
            kernel = tensors[f"{prefix}se_{name}/kernel"][0, 0].T
            self.register_parameter(f"{name}_weight", nn.Parameter(torch.from_numpy(kernel.copy())))
            bias = torch.from_numpy(tensors[f"{prefix}se_{name}/bias"].copy())
            self.register_parameter(f"{name}_bias", nn.Parameter(bias))

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return _Gated.apply(x, self.reduce_weight, self.reduce_bias, self.expand_weight, self.expand_bias)

    def named(self) -> dict[str, NDArray[np.float32]]:
        """The learned weights by their Keras names."""
        found: dict[str, NDArray[np.float32]] = {}
        for name in ("reduce", "expand"):
            found[f"{self._prefix}se_{name}/kernel"] = _array(getattr(self, f"{name}_weight")).T[None, None].copy()
            found[f"{self._prefix}se_{name}/bias"] = _array(getattr(self, f"{name}_bias"))
        return found


class _Gated(torch.autograd.Function):  # type: ignore[misc]
    """x (N, C, H, W) times sigmoid(silu(mean(x) @ a.T + b) @ c.T + d), a (R, C), b (R,), c (C, R), d (C,).

    The gradient of x goes through the product and through the mean. It is computed in one pass over x; autograd would
    make two passes and a sum.
    """

    @staticmethod
    def forward(context: Any, x: Any, *weights: Any) -> Any:
        a, b, c, d = weights
        means = x.mean((2, 3), dtype=torch.float32)
        inner = functional.linear(means, a, b)
        hidden = functional.silu(inner)
        gate = torch.sigmoid(functional.linear(hidden, c, d))
        context.save_for_backward(x, means, inner, hidden, gate, a, c)
        return x * gate.to(x.dtype)[:, :, None, None]

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        x, means, inner, hidden, gate, a, c = context.saved_tensors
        outer = (gradient * x).sum((2, 3), dtype=torch.float32) * gate * (1.0 - gate)
        soft = torch.sigmoid(inner)
        within = outer @ c * (soft * (1.0 + inner * (1.0 - soft)))
        of_means = within @ a / (x.shape[2] * x.shape[3])
        of_x = torch.addcmul(of_means.to(x.dtype)[:, :, None, None], gradient, gate.to(x.dtype)[:, :, None, None])
        return of_x, within.t() @ means, within.sum(0), outer.t() @ hidden, outer.sum(0)


class _Block(nn.Module):  # type: ignore[misc]
    """An inverted bottleneck: expand (not in stage 1), depthwise, squeeze and excitation, project, skip."""

    def __init__(self, tensors: Tensors, prefix: str, *, stride: int, skips: bool, drop: float) -> None:
        super().__init__()
        self.name, self._skips, self._drop = prefix, skips, drop
        expands = f"{prefix}expand_conv/kernel" in tensors
        self.expand = _Convolution(tensors, f"{prefix}expand_conv", f"{prefix}expand_bn") if expands else None
        self.depthwise = _Convolution(tensors, f"{prefix}dwconv", f"{prefix}bn", stride=stride, depthwise=True)
        self.squeeze = _Squeeze(tensors, prefix)
        self.project = _Convolution(tensors, f"{prefix}project_conv", f"{prefix}project_bn")

    def forward(self, x: Any) -> Any:
        y = x if self.expand is None else functional.silu(self.expand(x))
        y = self.project(self.squeeze(functional.silu(self.depthwise(y))))
        if not self._skips:
            return y
        if self.training and self._drop:  # stochastic depth: the block is skipped for some pictures
            kept = (torch.rand(len(y), 1, 1, 1) >= self._drop).to(y.dtype)
            y = y * kept / (1.0 - self._drop)
        return y + x


def _array(parameter: Any) -> NDArray[np.float32]:
    return np.array(parameter.detach().numpy(), dtype=np.float32)
