"""Augmentation of training pictures: symmetries, crops, RandAugment, colour, detail and JPEG, cutout.

NumPy and PIL only, so that it runs with every Keras backend. A crop is resized directly from the reference picture,
with the filter that serving uses: augmented pictures are as sharp as served ones.
"""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.fit.randaugment import rand_augmented
from recognition.inference.preprocessing import to_input
from recognition.recipes import Augmentation
from recognition.recipes.phases import JPEG_QUALITY_MAX

GREY: tuple[float, float, float] = (0.299, 0.587, 0.114)
"""ITU-R BT.601 luma."""

FILL = 127.5
"""Grey level of a cut-out square: the middle of the range, about 0 after the network's normalisation."""


def augmented(
    reference: Image.Image, *, input_size: int, augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    """One augmented network input, float32 (S, S, 3) in [0, 255], from an RGB picture at reference scale."""
    pixels = to_input(reference, input_size=input_size, box=_crop(reference.size, augmentation, generator))
    if augmentation.flips_and_quarter_turns:
        pixels = np.rot90(pixels, int(generator.integers(4)))
        if generator.random() < 0.5:
            pixels = pixels[:, ::-1]
    if augmentation.randaugment_operations:
        pixels = rand_augmented(
            pixels,
            operations=augmentation.randaugment_operations,
            magnitude=augmentation.randaugment_magnitude,
            generator=generator,
        )
    pixels = _recoloured(pixels, augmentation, generator)
    pixels = _degraded(pixels, augmentation, generator)
    if augmentation.cutout_share:
        side = round(input_size * augmentation.cutout_share)
        top, left = generator.integers(0, input_size - side + 1, size=2)
        pixels[top : top + side, left : left + side] = FILL
    return pixels


def _degraded(
    pixels: NDArray[np.float32], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    """With less detail, and then with the marks of JPEG, each with a chance of one half."""
    if augmentation.detail_min < 1.0 and generator.random() < 0.5:
        share = generator.uniform(augmentation.detail_min, 1.0)
        height, width = pixels.shape[:2]
        small = max(1, round(width * share)), max(1, round(height * share))
        reduced = _image(pixels).resize(small, Image.Resampling.BOX)
        pixels = np.array(reduced.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
    if augmentation.jpeg_quality_min and generator.random() < 0.5:
        file = io.BytesIO()
        quality = int(generator.integers(augmentation.jpeg_quality_min, JPEG_QUALITY_MAX + 1))
        _image(pixels).save(file, "JPEG", quality=quality)
        pixels = np.array(Image.open(file), dtype=np.float32)
    return pixels


def _image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _crop(
    size: tuple[int, int], augmentation: Augmentation, generator: np.random.Generator
) -> tuple[float, float, float, float]:
    width, height = size
    area = generator.uniform(augmentation.crop_area_min, 1.0)
    stretch = math.exp(generator.uniform(-1.0, 1.0) * math.log1p(augmentation.aspect_jitter) / 2)
    crop_width = min(1.0, math.sqrt(area) * stretch) * width
    crop_height = min(1.0, math.sqrt(area) / stretch) * height
    left = generator.uniform(0.0, width - crop_width)
    top = generator.uniform(0.0, height - crop_height)
    return left, top, left + crop_width, top + crop_height


def _recoloured(
    pixels: NDArray[np.float32], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    def factor(width: float) -> np.float32:
        return np.float32(generator.uniform(1.0 - width, 1.0 + width))

    gains = np.array([factor(augmentation.hue_shift) for _ in range(3)], dtype=np.float32)
    pixels = pixels * (gains * factor(augmentation.brightness))
    grey = (pixels @ np.asarray(GREY, dtype=np.float32))[..., None]
    pixels = grey + (pixels - grey) * factor(augmentation.saturation)
    middle = np.float32(grey.mean())
    pixels = middle + (pixels - middle) * factor(augmentation.contrast)
    return np.asarray(np.clip(pixels, 0.0, 255.0), dtype=np.float32)
