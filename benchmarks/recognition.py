"""Distances of the perceptual hashes of the same picture, and of different ones.

Measures `recognition.sandbox.perceptual_hash` on ../shared/data: the 160 pictures of photos-450px against the
8,923 of isic2019-subset (the same pictures at 200 px are among them), every picture of the subset
against every other, and re-saved copies. Prints the figures that SAME_PICTURE_DISTANCE is chosen by.

    python benchmarks/recognition.py [path to the data folder]
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from recognition.sandbox import content_hash, read_image  # noqa: E402
from recognition.sandbox.perceptual_hash import HASH_BYTES, SAME_PICTURE_DISTANCE  # noqa: E402

Hashes = npt.NDArray[np.uint64]
Distances = npt.NDArray[np.int64]

#: (JPEG quality, scale) of the re-saved copies.
COPIES = ((95, 1.0), (75, 1.0), (50, 1.0), (85, 2.0), (85, 5.0), (60, 0.6))
EVERY_NTH = 15
FAR = 10_000


def pack(hashes: list[bytes]) -> Hashes:
    """(n, 4) unsigned 64-bit words."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, HASH_BYTES // 8)


def distances(one: Hashes, many: Hashes) -> Distances:
    """Hamming distances of one hash (4,) to many (n, 4)."""
    found: Distances = np.bitwise_count(one ^ many).sum(axis=1, dtype=np.int64)
    return found


def copy_of(image: Image.Image, quality: int, scale: float) -> Image.Image:
    buffer = io.BytesIO()
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def report(name: str, values: Distances) -> None:
    points = np.percentile(values, [0, 1, 50, 90, 99, 100])
    matched = float((values <= SAME_PICTURE_DISTANCE).mean())
    print(
        f"{name:58} min {points[0]:5.1f}  1% {points[1]:5.1f}  median {points[2]:5.1f}  90% {points[3]:5.1f}  "
        f"99% {points[4]:5.1f}  max {points[5]:5.1f}  taken for the same {matched:7.2%} of {len(values)}"
    )


def main(data: Path) -> None:
    with (data / "isic2019-subset/ISIC_2019_Training_Metadata.csv").open(newline="") as table:
        lesion = {row["image"]: row["lesion_id"] or row["image"] for row in csv.DictReader(table)}
    images: dict[str, Image.Image] = {}
    with zipfile.ZipFile(data / "isic2019-subset/ISIC_2019_Training_Input.zip") as archive:
        for member in archive.namelist():
            if member.endswith(".jpg"):
                images[Path(member).stem] = read_image(archive.read(member))
    names = list(images)
    where = {name.removesuffix("_downsampled"): index for index, name in enumerate(names)}
    lesions = np.array([lesion[name] for name in names])
    subset = pack([content_hash(images[name]) for name in names])

    with (data / "photos-450px/metadata.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    same: list[int] = []
    other: list[int] = []
    for row in rows:
        photo = pack([content_hash(read_image((data / "photos-450px" / f"{row['image']}.jpg").read_bytes()))])[0]
        found = distances(photo, subset)
        here = where[row["image"]]
        same.append(int(found[here]))
        other.append(int(found[lesions != lesions[here]].min()))
    recombined = np.array([row["colour_recombined"] == "1" for row in rows])
    report("450 px against 200 px, same picture", np.array(same))
    report("  of these, not colour_recombined", np.array(same)[~recombined])
    report("450 px against 200 px, nearest picture of another lesion", np.array(other))

    nearest = np.empty(len(names), dtype=np.int64)
    whose = np.empty(len(names), dtype=np.int64)
    for index in range(len(names)):
        found = np.where(lesions == lesions[index], FAR, distances(subset[index], subset))
        nearest[index], whose[index] = found.min(), found.argmin()
    report("every subset picture, nearest of another lesion", nearest)
    print("closest pairs of two lesion ids:")
    for index in np.argsort(nearest, kind="stable")[:12]:
        twin = whose[index]
        print(f"  {nearest[index]:3d} bits  {names[index]} {lesions[index]}  {names[twin]} {lesions[twin]}")

    for quality, scale in COPIES:
        values = [
            int(
                distances(pack([content_hash(copy_of(images[names[index]], quality, scale))])[0], subset[index, None])[
                    0
                ]
            )
            for index in range(0, len(names), EVERY_NTH)
        ]
        report(f"saved again at quality {quality}, scale {scale:g}", np.array(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data")
