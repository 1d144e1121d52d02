"""The same picture is recognised at another size and compression; another one is not."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from recognition.sandbox import SAME_PICTURE_DISTANCE, accept_photo, content_hash, hash_distance, read_image
from recognition.sandbox.perceptual_hash import HASH_BYTES

Encode = Callable[..., bytes]

EVERY_NTH = 40


def texture(size: tuple[int, int]) -> Image.Image:
    """Something irregular with colours, the same every time: a Mandelbrot set's edge."""
    red = Image.effect_mandelbrot(size, (-0.8, -0.3, -0.6, -0.05), 60)
    green = Image.effect_mandelbrot(size, (-0.9, -0.4, -0.5, -0.02), 60)
    return Image.merge("RGB", (red, green, red))


def test_a_hash_has_its_length_and_its_distance() -> None:
    one = content_hash(texture((300, 200)))
    assert len(one) == HASH_BYTES
    assert hash_distance(one, one) == 0
    assert hash_distance(b"\x00" * 32, b"\xff" * 32) == 256
    assert hash_distance(b"\x00" * 32, b"\x00" * 31 + b"\x05") == 2


def test_an_even_picture_has_no_pattern_whatever_its_size() -> None:
    for size, grey in (((300, 200), 0), ((301, 203), 128), ((64, 64), 255), ((1000, 700), 77)):
        assert content_hash(Image.new("RGB", size, (grey,) * 3)) == bytes(HASH_BYTES)


def test_size_and_compression_leave_it_and_a_turn_does_not(encode: Encode) -> None:
    picture = texture((600, 450))
    known = content_hash(picture)
    for size in ((300, 225), (450, 338), (1200, 900)):
        again = Image.open(io.BytesIO(encode(picture.resize(size, Image.Resampling.LANCZOS), "JPEG", quality=80)))
        assert hash_distance(known, content_hash(again.convert("RGB"))) <= SAME_PICTURE_DISTANCE
    turned = content_hash(picture.transpose(Image.Transpose.ROTATE_180))
    assert hash_distance(known, turned) > 4 * SAME_PICTURE_DISTANCE


def test_the_sandbox_computes_the_same_hash_as_the_import(encode: Encode) -> None:
    data = encode(texture((600, 450)), "JPEG", quality=90)
    photo = accept_photo(data)
    assert photo.content_hash == content_hash(read_image(data))
    # What is stored is recognised as what was sent.
    assert hash_distance(photo.content_hash, content_hash(read_image(photo.image))) <= SAME_PICTURE_DISTANCE


@pytest.fixture(scope="module")
def lesion_of(shared_data: Path) -> dict[str, str]:
    with (shared_data / "isic2019-subset/ISIC_2019_Training_Metadata.csv").open(newline="") as table:
        return {row["image"]: row["lesion_id"] or row["image"] for row in csv.DictReader(table)}


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(shared_data / "isic2019-subset/ISIC_2019_Training_Input.zip")


def test_larger_copies_are_found_and_other_lesions_are_not(
    shared_data: Path, archive: zipfile.ZipFile, lesion_of: dict[str, str]
) -> None:
    with (shared_data / "photos-450px/metadata.csv").open(newline="") as table:
        wanted = [row["image"] for row in csv.DictReader(table)]
    members = {Path(name).stem.removesuffix("_downsampled"): name for name in archive.namelist() if ".jpg" in name}
    known = {
        name: content_hash(read_image(archive.read(members[name]))) for name in {*wanted, *sorted(members)[::EVERY_NTH]}
    }
    lesions = {name: lesion_of[Path(members[name]).stem] for name in known}
    found, wrong = [], []
    for name in wanted:
        photo = content_hash(read_image((shared_data / f"photos-450px/{name}.jpg").read_bytes()))
        matches = [
            other for other, known_hash in known.items() if hash_distance(photo, known_hash) <= SAME_PICTURE_DISTANCE
        ]
        found += [name] if name in matches else []
        wrong += [(name, other) for other in matches if lesions[other] != lesions[name]]
    assert wrong == []
    assert len(found) >= 0.9 * len(wanted)


def test_pictures_of_the_data_set_are_recognised_after_the_re_encode(archive: zipfile.ZipFile) -> None:
    names = [name for name in archive.namelist() if name.endswith(".jpg")]
    for name in names[:: len(names) // 10]:
        data = archive.read(name)
        photo = accept_photo(data)
        assert photo.content_hash == content_hash(read_image(data))
        assert hash_distance(photo.content_hash, content_hash(read_image(photo.image))) <= SAME_PICTURE_DISTANCE
