"""Fingerprints and small copies of a data set's pictures, made on all cores.

A fingerprint recognises a picture that somebody uploads. A small copy is shown beside similar cases.
"""

import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image

from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.sandbox import IntakeLimits, PhotoRejected, content_hash, read_image

CHUNK: Final = 64  # images handed to a process at a time

SMALL_SIDE: Final = 256
"""Pixels of a small picture's longer side: larger than the default network's input, and still about 10 kB."""
SMALL_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The SHA-256 (hex) of an image file and the perceptual hash (32 bytes) of its picture."""

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


def fingerprint(data: bytes) -> Fingerprint:
    """The fingerprint of an image file. Raises PhotoRejected for a file that cannot be decoded."""
    return Fingerprint(hashlib.sha256(data).hexdigest(), content_hash(read_image(data, limits=IntakeLimits())))


def small_picture(data: bytes) -> SmallPicture:
    """The small copy of an image file. Raises PhotoRejected for a file that cannot be decoded."""
    image = read_image(data, limits=IntakeLimits())
    if max(image.size) > SMALL_SIDE:
        scale = SMALL_SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info.clear()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=SMALL_QUALITY)
    return SmallPicture(hashlib.sha256(data).hexdigest(), file.getvalue(), image.width, image.height)


def fingerprint_images(
    source: Path, names: list[str], *, progress: Callable[[int], object] = lambda done: None
) -> dict[str, Fingerprint]:
    """The fingerprint of every named image in a folder or zip, made on all cores.

    `progress` is called with the number of images finished since the last call. Raises ExamplesError with every
    image that is missing, there twice, or cannot be decoded.
    """
    return dict(_made(fingerprint, source, names, progress))


def small_pictures(
    source: Path, names: list[str], *, progress: Callable[[int], object] = lambda done: None
) -> Iterator[SmallPicture]:
    """Small copies of the named images, in their order. See `fingerprint_images` for the rest."""
    for _name, small in _made(small_picture, source, names, progress):
        yield small


def _made(
    make: Callable[[bytes], Made],
    source: Path,
    names: list[str],
    progress: Callable[[int], object],
) -> Iterator[tuple[str, Made]]:
    with PictureStore(source) as pictures:
        missing = [name for name in names if name not in pictures]
    if missing:
        raise ExamplesError(
            [FileProblem(source.name, 0, f"the image {name} of the ground truth is missing.") for name in missing]
        )
    context = multiprocessing.get_context("spawn")  # a forked process would share the caller's database connection
    problems: list[FileProblem] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count() or 1, mp_context=context) as pool:
        outcomes = pool.map(partial(_make, make, source), names, chunksize=CHUNK)
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, FileProblem):
                problems.append(outcome)
            else:
                yield name, outcome
            progress(1)
    if problems:
        raise ExamplesError(problems)


def _make(make: Callable[[bytes], Made], source: Path, name: str) -> Made | FileProblem:
    """Runs in a worker process: the result for one image, or its problem."""
    pictures = _opened(source)
    try:
        return make(pictures.content(name))
    except ExamplesError as error:
        return error.problems[0]
    except PhotoRejected as rejection:
        return FileProblem(pictures.name_of(name), 0, rejection.message)


@cache
def _opened(source: Path) -> PictureStore:
    """The store, opened once per process: reading the directory of a large zip takes longer than one image."""
    return PictureStore(source)
