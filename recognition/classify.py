"""Classification of many picture files in one process, as `manage.py classify` does it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import Image

from recognition.datasets.pictures import PictureFiles, read_file
from recognition.datasets.problems import ExamplesError
from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import Metadata
from recognition.inference.runtime import Classification, LoadedClassifier
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image

BATCH: Final = 16  # pictures a pass; more pictures need more memory and are not faster on a CPU
READERS: Final = 2  # threads that decode while the network computes; Pillow releases the interpreter lock


@dataclass(frozen=True)
class PictureSource:
    """One file to classify. `name` says where it is; `read` gives its bytes or raises ExamplesError."""

    name: str
    read: Callable[[], bytes]

    @property
    def image(self) -> str:
        """The name of the image: that of the file without folder and suffix. Two files can have the same."""
        return _stem(self.name)


@dataclass(frozen=True)
class Classified:
    """The classification of one file."""

    name: str
    outcome: Classification


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be classified: `code` is a code of `PhotoRejected` or "unreadable", `detail` a sentence."""

    name: str
    code: str
    detail: str


def find_sources(paths: Sequence[Path], *, limits: IntakeLimits) -> tuple[list[PictureSource], int]:
    """The files to classify, in a stable order, and the number of files left out for not having a picture's suffix.

    `paths` are files, folders (searched with their subfolders) and zip files (read without unpacking). A file that is
    named itself is always tried, whatever its suffix.
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
    sources: Sequence[PictureSource],
    *,
    loaded: LoadedClassifier,
    limits: IntakeLimits,
    metadata: Mapping[str, Metadata] | None = None,
    image_type: str = "",
    case_mix: CaseMix | None = None,
) -> Iterator[Classified | Unreadable]:
    """One result per source, in their order. A file that cannot be read gives an `Unreadable`; the others go on.

    `metadata` is by image (`PictureSource.image`). `image_type` is the kind of all pictures, "" if it is to be
    recognised; `case_mix` is that of the probabilities, by default the sealed one. Raises ArithmeticError when the
    network gives a number that is not finite.
    """
    known = metadata or {}
    waiting = iter(sources)
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:

        def read_ahead() -> list[tuple[PictureSource, Future[Image.Image]]]:
            return [(source, readers.submit(_read, source, limits)) for source in islice(waiting, BATCH)]

        batch = read_ahead()
        while batch:
            following = read_ahead()
            pictures: list[Image.Image] = []
            about: list[Metadata | None] = []
            answers: list[Unreadable | None] = []
            for source, reading in batch:
                try:
                    pictures.append(reading.result())
                    about.append(known.get(source.image))
                    answers.append(None)
                except PhotoRejected as error:
                    answers.append(Unreadable(source.name, error.code, error.message))
                except ExamplesError as error:
                    answers.append(Unreadable(source.name, "unreadable", error.problems[0].reason))
            kinds = [image_type] * len(pictures)
            outcomes = iter(loaded.classify(pictures, about, kinds, case_mix) if pictures else [])
            for (source, _), answer in zip(batch, answers, strict=True):
                yield answer if answer is not None else Classified(source.name, next(outcomes))
            batch = following


def image_names(names: Sequence[str]) -> list[str]:
    """The `image` column of the ISIC submission format: file names without folder and suffix, made unique.

    Files of the same name in different folders keep their path, because the ISIC scorer refuses a table that names one
    image twice.
    """
    stems = [_stem(name) for name in names]
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


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("::", "/")).stem


def _printable(path: Path) -> str:
    """The path as text: bytes that are not UTF-8 become \\x.. (a file name may hold any bytes)."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(source: PictureSource, limits: IntakeLimits) -> Image.Image:
    return read_image(source.read(), limits=limits)
