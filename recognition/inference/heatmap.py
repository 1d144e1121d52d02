"""The heatmap: Grad-CAM (Selvaraju et al. 2017) from the feature maps of the same pass, and its overlay for the photo.

With global average pooling, the gradient of a logit by the feature maps is its gradient by the pooled features, divided
evenly over the positions. So Grad-CAM needs only the maps, the features and the small dense head, in NumPy: no second
pass and no TensorFlow.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.network import Architecture
from recognition.inference.preprocessing import CROP, PAD, Preprocessing

OVERLAY_LONG_SIDE: Final = 256
"""Pixels of the overlay's longer side. The maps are 7 x 7, so more pixels show no more."""

OPACITY: Final = 0.72
"""Opacity of the strongest evidence, 0 to 1: the skin can still be seen through it."""

COLOUR_PATH: Final = ((0.34, 0.03, -0.17), (0.62, 0.19, 0.02), (0.93, -0.02, 0.17))
"""The colour scale in OKLab (L, a, b): blue, rose, yellow. Equal steps look equal, and lightness always rises: the
scale can be read in grey and with every colour blindness."""


@dataclass(frozen=True, slots=True)
class DenseHead:
    """The dense layers from features to logits: (kernel (in, out), bias (out,)) each, ReLU between them."""

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    @classmethod
    def from_tensors(cls, architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]]) -> "DenseHead":
        """The dense head of an architecture from its weights by name. Raises KeyError when one is missing."""
        return cls(tuple((tensors[f"{name}/kernel"], tensors[f"{name}/bias"]) for name in architecture.head_layers))

    def feature_gradient(self, features: NDArray[np.floating], position: int) -> NDArray[np.float64]:
        """The gradient of logit `position` by the features, (C,), at these features (C,)."""
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
    """The Grad-CAM heatmap for one diagnosis: float32 (h, w) in [0, 1] with the maximum 1.

    `features` is (C,), `maps` (h, w, C), both of one picture; `position` is that of the diagnosis in `CODES`. None when
    no position has positive evidence.
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
    """The heatmap as an RGBA PNG in the photo's aspect ratio, long side 256 px, as an overlay for the photo.

    `heatmap` is (h, w) in [0, 1], `photo_size` (width, height) in pixels of the upright photo. Evidence 0 is fully
    transparent, and so is what the network did not see (fit "crop"). Raises ValueError for a photo of 0 pixels.
    """
    width, height = photo_size
    if width < 1 or height < 1:
        raise ValueError(f"A photo of {width} x {height} pixels has no overlay.")
    scale = OVERLAY_LONG_SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Preprocessing made the photo a square (`to_square`). This lays the map over the part that the network saw.
    seen = {PAD: (max(size), max(size)), CROP: (min(size), min(size))}.get(preprocessing.fit, size)
    smooth = Image.fromarray(np.asarray(heatmap, dtype=np.float32)).resize(seen, Image.Resampling.BICUBIC)
    placed = Image.new("F", size)
    placed.paste(smooth, ((size[0] - seen[0]) // 2, (size[1] - seen[1]) // 2))
    evidence = np.clip(np.asarray(placed), 0.0, 1.0)
    pixels = np.empty((size[1], size[0], 4), dtype=np.uint8)
    pixels[..., :3] = _COLOURS[np.round(evidence * (len(_COLOURS) - 1)).astype(int)]
    pixels[..., 3] = np.round(evidence * OPACITY * 255.0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _colour_scale(steps: int) -> NDArray[np.uint8]:
    """sRGB colours uint8 (steps, 3), evenly along COLOUR_PATH. Source: Ottosson 2020, "A perceptual color space"."""
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
