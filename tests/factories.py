"""Generated pictures and data sets for the tests: eight kinds that a tiny network can separate, in the ISIC layout."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from recognition.taxonomy import CODES, SEXES, SITES

# One colour of spot for each diagnosis, in ISIC order.
COLOURS = (
    (40, 25, 25), (120, 70, 40), (200, 90, 110), (190, 140, 90), (90, 90, 90), (150, 60, 150), (200, 20, 20),
    (230, 200, 90),
)  # fmt: skip


def made_picture(code: str, seed: int, *, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """A soft spot on skin. The colour of the spot depends on the diagnosis `code`, everything else on the seed."""
    random = np.random.default_rng([CODES.index(code), seed])
    width, height = size
    skin = np.array([222, 184, 160]) + random.integers(-12, 12, 3)
    noise = random.normal(0, 4, (height, width, 1))
    picture = Image.fromarray(np.clip(skin + noise, 0, 255).astype(np.uint8))
    radius = random.uniform(0.18, 0.32) * min(size)
    x, y = random.uniform(0.4, 0.6) * width, random.uniform(0.4, 0.6) * height
    spot = Image.new("L", size, 0)
    ImageDraw.Draw(spot).ellipse((x - radius, y - radius * 0.8, x + radius, y + radius * 0.8), fill=255)
    colour = tuple(int(v) for v in np.clip(np.array(COLOURS[CODES.index(code)]) + random.integers(-10, 10, 3), 0, 255))
    picture.paste(colour, mask=spot.filter(ImageFilter.GaussianBlur(3)))
    return picture


def jpeg_bytes(picture: Image.Image, *, quality: int = 90) -> bytes:
    """The picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def made_photo(code: str = "MEL", seed: int = 7, *, size: tuple[int, int] = (450, 338)) -> bytes:
    """The bytes of a JPEG file, as a patient would upload it."""
    return jpeg_bytes(made_picture(code, seed, size=size))


def write_dataset(folder: Path, *, per_diagnosis: int = 24) -> Path:
    """A folder with the three official ISIC 2019 files; two pictures a lesion. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, metadata = [], []
    with zipfile.ZipFile(folder / "ISIC_2019_Training_Input.zip", "w") as pictures:
        for position, code in enumerate(CODES):
            for number in range(per_diagnosis):
                image = f"ISIC_{position:02d}{number:05d}"
                pictures.writestr(f"{image}.jpg", jpeg_bytes(made_picture(code, number)))
                truth.append([image, *(f"{float(code == each)}" for each in CODES), "0.0"])
                metadata.append(
                    [
                        image,
                        5 * (number % 18),
                        SITES[number % len(SITES)],
                        f"L{position}{number // 2}",
                        SEXES[number % 2],
                    ]
                )
    for name, header, rows in (
        ("GroundTruth", ["image", *CODES, "UNK"], truth),
        ("Metadata", ["image", "age_approx", "anatom_site_general", "lesion_id", "sex"], metadata),
    ):
        with (folder / f"ISIC_2019_Training_{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return folder
