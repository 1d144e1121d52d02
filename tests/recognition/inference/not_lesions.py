"""Pictures of other things: scikit-image's samples (animals, people, pages, cars, textures), and made ones.

The made car and documents are drawings: that they are refused says little about photographs of such things.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SAMPLES = (
    "astronaut.png", "chelsea.png", "coffee.png", "page.png", "text.png", "rocket.jpg", "motorcycle_left.png",
    "camera.png", "coins.png", "brick.png", "grass.png", "gravel.png", "horse.png", "logo.png", "color.png",
)  # fmt: skip
"""chelsea is a cat, page and text are documents, motorcycle_left a garage with a motorcycle."""

SKIN_TONES = ((232, 190, 165), (200, 150, 120), (141, 85, 54), (90, 56, 40))


def samples() -> Iterator[tuple[str, Image.Image]]:
    """scikit-image's pictures by name, whole."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    for name in SAMPLES:
        with Image.open(folder / name) as opened:
            yield name, opened.convert("RGB")


def made() -> Iterator[tuple[str, Image.Image]]:
    """Noise, a document, a car, and bare skin in four tones, drawn."""
    generator = np.random.default_rng(0)
    yield "noise", Image.fromarray(generator.integers(0, 256, (300, 400, 3), dtype=np.uint8))
    yield "document", document()
    yield "car", car()
    for number, tone in enumerate(SKIN_TONES):
        yield f"bare skin {number}", bare_skin(tone, generator)


def document() -> Image.Image:
    """A page of grey words on white, slightly turned on a table."""
    page = Image.new("RGB", (800, 1000), (250, 249, 245))
    pen, generator = ImageDraw.Draw(page), np.random.default_rng(1)
    for line in range(30):
        left = 60
        while left < 700:
            width = int(generator.integers(15, 90))
            pen.rectangle((left, 60 + line * 30, left + width, 72 + line * 30), fill=(40, 40, 45))
            left += width + 12
    return page.rotate(7, fillcolor=(120, 110, 100))


def car() -> Image.Image:
    """A red car on a road under a blue sky, drawn."""
    picture = Image.new("RGB", (800, 600), (150, 190, 230))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 400, 800, 600), fill=(90, 90, 95))
    body = [(150, 400), (200, 280), (330, 220), (520, 220), (620, 290), (720, 310), (740, 400)]
    pen.polygon(body, fill=(180, 20, 30))
    pen.polygon([(220, 285), (335, 235), (420, 235), (420, 285)], fill=(200, 225, 240))
    pen.polygon([(435, 235), (515, 235), (590, 285), (435, 285)], fill=(200, 225, 240))
    for left in (200, 560):
        pen.ellipse((left, 350, left + 120, 470), fill=(20, 20, 20))
    return picture


def bare_skin(tone: tuple[int, int, int], generator: np.random.Generator) -> Image.Image:
    """Even skin under light from one side, with a little grain."""
    down, across = np.mgrid[0:450, 0:600]
    light = 1 - 0.15 * across / 600 - 0.1 * down / 450
    grain = generator.normal(0, 4, (450, 600, 1)) + generator.normal(0, 2, (450, 600, 3))
    return Image.fromarray(np.clip(np.array(tone) * light[..., None] + grain, 0, 255).astype(np.uint8))
