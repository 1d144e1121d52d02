"""Own reading a labelled data set in the official ISIC layout, to recognise its images when somebody uploads one.

Plain files in, plain values out: no Django, so that the work can be spread over processes. What is made of a picture is
a fingerprint, and a small copy of it for those who compare cases.

Layout: a ground truth CSV with the columns `image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK`, one row an image, exactly one 1
in each; images named `<image>.jpg` in a folder or a zip, in any sub-folder. Where there is a metadata CSV, its columns
`image` and `lesion_id` say which images show one lesion.
Source: ISIC 2019 challenge, https://challenge.isic-archive.com/data/
"""

import csv
import hashlib
import io
import lzma
import multiprocessing
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from PIL import Image

from diagnoses.intake import IntakeLimits, PhotoRejected, content_hash, read_image
from diagnoses.taxonomy import CODES, UNKNOWN_CODE

COLUMNS: Final = ("image", *CODES, UNKNOWN_CODE)
PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
FAULTS_SHOWN: Final = 20  # enough to see what kind of mistake it is
CHUNK: Final = 64  # images handed to a process at a time
# What reading a member of a damaged zip raises; RuntimeError: it is encrypted, or packed in a way Python does not know.
UNREADABLE: Final = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)

SMALL_SIDE: Final = 256
"""Pixels of a small picture's longer side: more than the default network looks at, and still a thumbnail (10 kB)."""
SMALL_QUALITY: Final = 90


class DatasetError(Exception):
    """The data set cannot be used as it is. One line a fault, each with its row or file."""

    def __init__(self, faults: list[str]) -> None:
        shown = faults[:FAULTS_SHOWN]
        if len(faults) > len(shown):
            shown.append(f"… and {len(faults) - len(shown)} more.")
        super().__init__("\n".join(shown))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an image can be recognised by: SHA-256 (hex) of its file, perceptual hash (32 bytes) of its picture."""

    original_sha256: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """A copy of an image, at most `SMALL_SIDE` pixels a side: a JPEG without metadata, and the SHA-256 of the file."""

    original_sha256: str
    jpeg: bytes
    width: int
    height: int


Made = TypeVar("Made", Fingerprint, SmallPicture)


def small_picture(data: bytes) -> SmallPicture:
    """The small copy of an image file. Raises PhotoRejected for what is no picture."""
    image = read_image(data, limits=IntakeLimits())
    if max(image.size) > SMALL_SIDE:
        scale = SMALL_SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info.clear()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=SMALL_QUALITY)
    return SmallPicture(hashlib.sha256(data).hexdigest(), file.getvalue(), image.width, image.height)


def read_lesions(path: Path) -> dict[str, str]:
    """Image name to lesion id, of a metadata CSV; images without one are left out. Raises DatasetError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"image", "lesion_id"} <= set(rows.fieldnames or ()):
                raise DatasetError([f"{path.name}: the columns image and lesion_id are missing."])
            return {row["image"]: row["lesion_id"].strip() for row in rows if row["image"] and row["lesion_id"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError([f"{path.name} cannot be read: {error}"]) from error


def read_ground_truth(path: Path) -> dict[str, str]:
    """Image name to diagnosis code, in the order of the file. Raises DatasetError naming every bad row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if tuple(header) != COLUMNS:
                raise DatasetError([f"{path.name}: the columns are {','.join(header)}, not {','.join(COLUMNS)}."])
            return _labels(path.name, rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError([f"{path.name} cannot be read: {error}"]) from error


def _labels(name: str, rows: Iterator[list[str]]) -> dict[str, str]:
    labels: dict[str, str] = {}
    faults: list[str] = []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(COLUMNS):
            faults.append(f"{name}, row {number}: {len(row)} cells, not {len(COLUMNS)}.")
            continue
        image, *cells = row
        values = [_one_or_zero(cell) for cell in cells]
        if None in values or sum(value or 0 for value in values) != 1:
            faults.append(f"{name}, row {number} ({image}): exactly one cell must be 1 and the others 0.")
        elif values[-1]:
            faults.append(f"{name}, row {number} ({image}): {UNKNOWN_CODE} is none of the eight diagnoses.")
        elif not image or image in labels:
            faults.append(f"{name}, row {number}: the image {image!r} has no name or has been there before.")
        else:
            labels[image] = CODES[values.index(1)]
    if not labels and not faults:
        faults.append(f"{name} has no rows.")
    if faults:
        raise DatasetError(faults)
    return labels


def _one_or_zero(cell: str) -> int | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value in (0, 1) else None


def fingerprint_images(
    source: Path, names: list[str], *, progress: Callable[[int], object] = lambda done: None
) -> dict[str, Fingerprint]:
    """The fingerprint of every named image in a folder or zip, made on all cores.

    `progress` is called with the number of images finished since the last call. Raises DatasetError naming every
    image that is missing, there twice, or no picture.
    """
    return dict(_made(_fingerprint, source, names, progress))


def small_pictures(
    source: Path, names: list[str], *, progress: Callable[[int], object] = lambda done: None
) -> Iterator[SmallPicture]:
    """Small copies of the named images, one after another, made on all cores. Otherwise as `fingerprint_images`."""
    for _name, small in _made(_small, source, names, progress):
        yield small


def _made(
    make: Callable[[tuple[Path, str]], Made | str],
    source: Path,
    names: list[str],
    progress: Callable[[int], object],
) -> Iterator[tuple[str, Made]]:
    members = _find(source, names)
    context = multiprocessing.get_context("spawn")  # a fork would share the caller's database connection
    faults: list[str] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count() or 1, mp_context=context) as pool:
        for name, outcome in zip(
            members, pool.map(make, [(source, m) for m in members.values()], chunksize=CHUNK), strict=True
        ):
            if isinstance(outcome, str):
                faults.append(f"{members[name]}: {outcome}")
            else:
                yield name, outcome
            progress(1)
    if faults:
        raise DatasetError(faults)


def _find(source: Path, names: list[str]) -> dict[str, str]:
    """Where each image lies in the source."""
    try:
        if source.is_dir():
            files = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
        else:
            with zipfile.ZipFile(source) as archive:
                files = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:  # the last: a zip made for a newer reader
        raise DatasetError([f"{source.name} cannot be read: {error}"]) from error
    wanted = set(names)
    places: dict[str, str] = {}
    faults: list[str] = []
    for file in sorted(files):
        path = PurePosixPath(file)
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.stem not in wanted:
            continue
        if path.stem in places:
            faults.append(f"{source.name}: the image {path.stem} is there twice ({places[path.stem]}, {file}).")
        places[path.stem] = file
    faults += [
        f"{source.name}: the image {name} of the ground truth is missing." for name in names if name not in places
    ]
    if faults:
        raise DatasetError(faults)
    return {name: places[name] for name in names}


def _fingerprint(place: tuple[Path, str]) -> Fingerprint | str:
    """In a process of its own: the fingerprint, or what is wrong with the file."""
    limits = IntakeLimits()
    try:
        data = _read(*place, limits)
        return Fingerprint(hashlib.sha256(data).hexdigest(), content_hash(read_image(data, limits=limits)))
    except PhotoRejected as rejection:
        return rejection.message
    except UNREADABLE as error:
        return str(error) or type(error).__name__


def _small(place: tuple[Path, str]) -> SmallPicture | str:
    """In a process of its own: the small copy, or what is wrong with the file."""
    try:
        return small_picture(_read(*place, IntakeLimits()))
    except PhotoRejected as rejection:
        return rejection.message
    except UNREADABLE as error:
        return str(error) or type(error).__name__


_archives: dict[Path, zipfile.ZipFile] = {}


def _read(source: Path, member: str, limits: IntakeLimits) -> bytes:
    if source.is_dir():
        return (source / member).read_bytes()
    if source not in _archives:
        # Open for the life of the process: reading the directory of a large zip takes longer than an image.
        _archives[source] = zipfile.ZipFile(source)
    archive = _archives[source]
    if archive.getinfo(member).file_size > limits.max_bytes:
        raise PhotoRejected("too_large_bytes", megabytes=limits.max_bytes // (1024 * 1024))
    return archive.read(member)
