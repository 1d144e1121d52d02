"""Classifies an operator's own files in bulk: what `manage.py classify` does, without web, broker or queue."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import Image

from diagnoses.inference.runtime import LoadedClassifier, Outcome
from diagnoses.intake import IntakeLimits, PhotoRejected, read_image

PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".mpo"})
BATCH: Final = 16  # pictures a pass; more gains nothing on a CPU (docs/architecture.md) and only costs memory
# RuntimeError and NotImplementedError come from encrypted members and compressions that zipfile does not know, the
# three after them from members whose compressed bytes are damaged or cut off.
UNREADABLE: Final = (
    OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, EOFError,
)  # fmt: skip
READERS: Final = 2  # threads that decode while the network computes; Pillow lets go of the interpreter lock


class SourceError(Exception):
    """A path given on the command line cannot be read at all; the message says why."""


@dataclass(frozen=True)
class Source:
    """One file to classify. `name` is where it was found; `read` gives its bytes or raises OSError."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Classified:
    """One file's answer."""

    name: str
    outcome: Outcome


@dataclass(frozen=True)
class Unreadable:
    """One file that gave no answer, and why."""

    name: str
    code: str
    detail: str


def find_sources(paths: Sequence[Path], *, limits: IntakeLimits) -> tuple[list[Source], int]:
    """Files to classify, in a stable order, and how many were passed over because they are not named like pictures.

    A file given by itself is always tried, whatever its name; folders are walked, zips are read without unpacking.
    Raises SourceError for a path that is not there or a zip that cannot be opened.
    """
    sources: list[Source] = []
    passed_over = 0
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            pictures = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
            passed_over += len(files) - len(pictures)
            sources += [Source(_printable(p), p.read_bytes) for p in pictures]
        elif path.is_file() and path.suffix.lower() == ".zip":
            members, others = _zip_members(path, limits)
            sources += members
            passed_over += others
        elif path.is_file():
            sources.append(Source(_printable(path), path.read_bytes))
        else:
            raise SourceError(f"There is no file or folder {path}.")
    return sources, passed_over


def classify_sources(
    sources: Sequence[Source], *, loaded: LoadedClassifier, limits: IntakeLimits
) -> Iterator[Classified | Unreadable]:
    """One answer per source, in their order. Whatever is wrong with one file, the others get theirs."""
    waiting = iter(sources)
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:

        def read_ahead() -> list[tuple[Source, Future[Image.Image]]]:
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
                except UNREADABLE as error:
                    answers.append(Unreadable(source.name, "unreadable", str(error) or type(error).__name__))
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


def _read(source: Source, limits: IntakeLimits) -> Image.Image:
    return read_image(source.read(), limits=limits)


def _zip_members(path: Path, limits: IntakeLimits) -> tuple[list[Source], int]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path} cannot be opened as a zip file: {error}") from error
    sources: list[Source] = []
    passed_over = 0
    for member in sorted(archive.infolist(), key=lambda info: info.filename):
        name = PurePosixPath(member.filename)
        if member.is_dir() or name.name.startswith(".") or "__MACOSX" in name.parts:
            continue
        if name.suffix.lower() not in PICTURE_SUFFIXES:
            passed_over += 1
            continue
        sources.append(Source(f"{_printable(path)}::{member.filename}", _member_reader(archive, member, limits)))
    return sources, passed_over


def _member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: IntakeLimits) -> Callable[[], bytes]:
    def read() -> bytes:
        # One byte more than allowed is enough to be refused: a bomb never unpacks further.
        with archive.open(member) as file:
            return file.read(limits.max_bytes + 1)

    return read
