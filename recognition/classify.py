"""Classifies an operator's own files in bulk: what `manage.py classify` does, without web, broker or queue."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import Image

from recognition.datasets.pictures import PictureFiles, read_file
from recognition.datasets.problems import ExamplesError
from recognition.inference.runtime import Classification, LoadedClassifier
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image

BATCH: Final = 16  # pictures a pass; more gains nothing on a CPU (docs/architecture.md) and only costs memory
READERS: Final = 2  # threads that decode while the network computes; Pillow lets go of the interpreter lock


@dataclass(frozen=True)
class PictureSource:
    """One file to classify. `name` is where it was found; `read` gives its bytes or raises ExamplesError."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Classified:
    """One file's answer."""

    name: str
    outcome: Classification


@dataclass(frozen=True)
class Unreadable:
    """One file that gave no answer, and why."""

    name: str
    code: str
    detail: str


def find_sources(paths: Sequence[Path], *, limits: IntakeLimits) -> tuple[list[PictureSource], int]:
    """Files to classify, in a stable order, and how many were passed over because they are not named like pictures.

    A file given by itself is always tried, whatever its name; folders are walked, zips are read without unpacking.
    Raises FileNotFoundError for a path that is not there, ExamplesError for a zip that cannot be opened.
    """
    sources: list[PictureSource] = []
    passed_over = 0
    for path in paths:
        if path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip"):
            files = PictureFiles(path)
            passed_over += files.passed_over
            sources += [
                PictureSource(
                    _printable(path / name) if path.is_dir() else f"{_printable(path)}::{name}",
                    partial(files.read, name, max_bytes=limits.max_bytes),
                )
                for name in files.names
            ]
        elif path.is_file():
            sources.append(PictureSource(_printable(path), partial(read_file, path, max_bytes=limits.max_bytes)))
        else:
            raise FileNotFoundError(f"There is no file or folder {path}.")
    return sources, passed_over


def classify_sources(
    sources: Sequence[PictureSource], *, loaded: LoadedClassifier, limits: IntakeLimits
) -> Iterator[Classified | Unreadable]:
    """One answer per source, in their order. Whatever is wrong with one file, the others get theirs."""
    waiting = iter(sources)
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:

        def read_ahead() -> list[tuple[PictureSource, Future[Image.Image]]]:
            return [(source, readers.submit(_read, source, limits)) for source in islice(waiting, BATCH)]

        batch = read_ahead()
        while batch:
            following = read_ahead()
            pictures: list[Image.Image] = []
            answers: list[Unreadable | None] = []
            for source, reading in batch:
                try:
                    pictures.append(reading.result())
                    answers.append(None)
                except PhotoRejected as error:
                    answers.append(Unreadable(source.name, error.code, error.message))
                except ExamplesError as error:
                    answers.append(Unreadable(source.name, "unreadable", error.problems[0].reason))
            outcomes = iter(loaded.classify(pictures) if pictures else [])
            for (source, _), answer in zip(batch, answers, strict=True):
                yield answer if answer is not None else Classified(source.name, next(outcomes))
            batch = following


def image_names(names: Sequence[str]) -> list[str]:
    """The `image` column of the ISIC submission format: file names without folder and suffix, made unique.

    Files of the same name in different folders keep as much of their path as tells them apart: the scorer refuses
    a table that names one image twice.
    """
    stems = [PurePosixPath(name.replace("::", "/")).stem for name in names]
    seen: dict[str, int] = {}
    for stem in stems:
        seen[stem] = seen.get(stem, 0) + 1
    unique: list[str] = []
    taken: set[str] = set()
    for name, stem in zip(names, stems, strict=True):
        candidate = stem if seen[stem] == 1 else str(PurePosixPath(name.replace("::", "/")).with_suffix(""))
        number = 2
        while candidate in taken:
            candidate, number = f"{candidate}_{number}", number + 1
        taken.add(candidate)
        unique.append(candidate)
    return unique


def _printable(path: Path) -> str:
    """The path as text that can be written: bytes that are no UTF-8 become \\x.. (the file system takes any bytes)."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(source: PictureSource, limits: IntakeLimits) -> Image.Image:
    return read_image(source.read(), limits=limits)
