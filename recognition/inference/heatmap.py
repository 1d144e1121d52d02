"""Own the heatmap: Grad-CAM from the feature maps of the same pass, and its drawing over the photo.

After global average pooling the gradient of a logit with respect to the feature maps is the gradient with respect
to the pooled features, spread evenly over the positions. So Grad-CAM (Selvaraju et al. 2017) needs the maps, the
features and the small dense head, in NumPy: no second pass, no gradient tape, no TensorFlow.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.network import Architecture
from recognition.inference.preprocessing import STRETCH, Preprocessing

OVERLAY_LONG_SIDE: Final = 256
"""Pixels; the maps are 7 x 7, so a larger drawing would only be a larger file."""

OPACITY: Final = 0.72
"""Of the strongest evidence: strong enough to see, weak enough to see the skin through it."""

COLOUR_PATH: Final = ((0.34, 0.03, -0.17), (0.62, 0.19, 0.02), (0.93, -0.02, 0.17))
"""The colour scale in OKLab (L, a, b): blue, rose, yellow, hardly colours of skin. Equal steps along the path look
equal, and lightness rises all the way, so that it reads the same in grey and with every colour blindness."""


@dataclass(frozen=True, slots=True)
class DenseHead:
    """The dense layers from features to logits: (kernel (in, out), bias (out,)) each, ReLU between them."""

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    @classmethod
    def from_tensors(cls, architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]]) -> "DenseHead":
        """The head of an architecture out of its weights by name. Raises KeyError when one is missing."""
        return cls(tuple((tensors[f"{name}/kernel"], tensors[f"{name}/bias"]) for name in architecture.head_layers))

    def feature_gradient(self, features: NDArray[np.floating], position: int) -> NDArray[np.float64]:
        """d logit[position] / d features, (C,), at these features (C,)."""
        hidden = np.asarray(features, dtype=np.float64)
        open_units = []
        for kernel, bias in self.layers[:-1]:
            hidden = hidden @ kernel + bias
            open_units.append(hidden > 0)
            hidden = np.maximum(hidden, 0.0)
        gradient = np.asarray(self.layers[-1][0][:, position], dtype=np.float64)
        for (kernel, _), passing in zip(reversed(self.layers[:-1]), reversed(open_units), strict=True):
            gradient = kernel @ (gradient * passing)
        return gradient


def grad_cam(
    head: DenseHead, *, features: NDArray[np.floating], maps: NDArray[np.floating], position: int
) -> NDArray[np.float32] | None:
    """Evidence for one diagnosis by place: float32 (h, w) in [0, 1], the strongest place being 1.

    `features` is (C,), `maps` (h, w, C), both of one picture. None when no place speaks for the diagnosis.
    """
    height, width, _ = maps.shape
    weights = head.feature_gradient(features, position) / (height * width)
    evidence = np.maximum(np.asarray(maps, dtype=np.float64) @ weights, 0.0)
    strongest = float(evidence.max())
    if not strongest > 0.0:
        return None
    return np.asarray(evidence / strongest, dtype=np.float32)


def render_overlay(
    heatmap: NDArray[np.floating], *, photo_size: tuple[int, int], preprocessing: Preprocessing
) -> bytes:
    """The heatmap as an RGBA PNG in the photo's aspect ratio, long side 256 px, to be laid over the photo.

    `heatmap` is (h, w) in [0, 1], `photo_size` (width, height) in pixels of the upright photo. Evidence 0 is fully
    transparent. Raises ValueError for a photo without extent or a fit whose geometry is not known here.
    """
    width, height = photo_size
    if width < 1 or height < 1:
        raise ValueError(f"A photo of {width} x {height} pixels has no overlay.")
    if preprocessing.fit != STRETCH:
        raise ValueError(f"The fit {preprocessing.fit!r} has no inverse here.")
    scale = OVERLAY_LONG_SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # The whole photo was stretched to the square, so stretching the map to the photo's shape undoes it.
    smooth = Image.fromarray(np.asarray(heatmap, dtype=np.float32)).resize(size, Image.Resampling.BICUBIC)
    evidence = np.clip(np.asarray(smooth), 0.0, 1.0)
    pixels = np.empty((size[1], size[0], 4), dtype=np.uint8)
    pixels[..., :3] = _COLOURS[np.round(evidence * (len(_COLOURS) - 1)).astype(int)]
    pixels[..., 3] = np.round(evidence * OPACITY * 255.0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _colour_scale(steps: int) -> NDArray[np.uint8]:
    """sRGB colours (steps, 3) evenly along COLOUR_PATH. Conversion: Ottosson 2020, "A perceptual color space"."""
    corners = np.asarray(COLOUR_PATH)
    reached = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    at = np.linspace(0.0, reached[-1], steps)
    lab = np.stack([np.interp(at, reached, corners[:, axis]) for axis in range(3)], axis=1)
    roots = lab @ np.array(
        [[1.0, 1.0, 1.0], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear = roots**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(encoded * 255.0), dtype=np.uint8)


_COLOURS: Final = _colour_scale(256)
