"""Own a checked data set: the table of its pictures, and the pictures behind it.

The tables are read and checked by `training.pipeline.tables`; here the pictures are found, read and hashed. A data set
with a fault anywhere is not read at all.
"""

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

import pandas as pd
from PIL import Image

from diagnoses.intake import IntakeLimits, PhotoRejected
from diagnoses.intake.decode import read_image
from training.pipeline.faults import ExamplesError, Fault
from training.pipeline.layouts import GROUND_TRUTH_COLUMNS, METADATA_COLUMNS
from training.pipeline.progress import Progress, Report, silent
from training.pipeline.splits import TEST, Split
from training.pipeline.tables import DOWNSAMPLED, isic_id, read_tables

__all__ = [
    "COLUMNS",
    "GROUND_TRUTH_COLUMNS",
    "METADATA_COLUMNS",
    "Examples",
    "ExamplesError",
    "Fault",
    "PictureStore",
    "examples_fingerprint",
    "fingerprint_of_test",
    "read_examples",
]

COLUMNS: Final = ("image", "diagnosis", "age_approx", "anatom_site_general", "lesion_id", "sex", "sha256")
"""Columns of the checked table; missing metadata is None (age: NaN), sha256 is empty without pictures."""

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
PICTURE_BYTES_MAX: Final = 64 * 1024 * 1024
"""The largest picture of the ISIC archive has 20 MB; a zip that claims more for one file is not unpacked."""

PICTURE_LIMITS: Final = IntakeLimits(max_bytes=PICTURE_BYTES_MAX, min_side=16)
"""Those of an upload, but for what only a stranger does: an operator's own image may be large, or a small crop."""

UNREADABLE: Final = (
    OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, EOFError, RuntimeError,
)  # fmt: skip
"""What reading a member of a broken zip raises. struct.error and ValueError: a cut or spoiled LZMA header;
RuntimeError: an encrypted member, or a compression Python does not know (NotImplementedError)."""


class Pictures(Protocol):
    """Where the pipeline takes pictures from, by ISIC name."""

    def picture(self, image: str) -> Image.Image:
        """The picture as RGB, fully decoded. Raises KeyError for an unknown name, ExamplesError for a broken file."""
        ...


class PictureStore:
    """The pictures of a data set in a folder or a zip, found by their ISIC name (file name without suffix).

    Nothing is unpacked, so names inside a zip cannot lead anywhere. Raises ExamplesError when the place cannot be
    read or holds one name twice. Use as a context manager, or call `close`.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._zip: zipfile.ZipFile | None = None
        try:
            if place.is_dir():
                found = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
            else:
                self._zip = zipfile.ZipFile(place)
                found = self._zip.namelist()
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            # NotImplementedError: a zip made for a newer reader; ValueError: names in no known encoding.
            reason = f"cannot be read as a folder or a zip file: {error}."
            raise ExamplesError([Fault(place.name, 0, reason)]) from error
        self._names: dict[str, str] = {}
        faults = []
        for name in found:
            path = PurePosixPath(name)
            # macOS archives carry a shadow file "__MACOSX/._name.jpg" for every picture.
            if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith(".") or name.endswith("/"):
                continue
            if path.stem in self._names:
                faults.append(Fault(place.name, 0, f"{path.stem} is there twice: {self._names[path.stem]} and {name}."))
            self._names[path.stem] = name
        if faults:
            raise ExamplesError(faults)

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, image: str) -> bool:
        return self._spelling(image) in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def close(self) -> None:
        """Let the zip go."""
        if self._zip is not None:
            self._zip.close()

    def name_of(self, image: str) -> str:
        """The file's name in the folder or zip. Raises KeyError for an unknown name."""
        return self._names[self._spelling(image)]

    def size_of(self, image: str) -> int:
        """The file's size in bytes, unpacked. Raises KeyError for an unknown name."""
        name = self.name_of(image)
        return self._zip.getinfo(name).file_size if self._zip is not None else (self.place / name).stat().st_size

    def content(self, image: str) -> bytes:
        """The file's bytes. Raises KeyError for an unknown name, ExamplesError where they cannot be read."""
        name = self.name_of(image)
        try:
            if self.size_of(image) > PICTURE_BYTES_MAX:
                raise OSError("it is too large for a picture")
            return self._read(image)
        except UNREADABLE as error:
            raise ExamplesError([Fault(name, 0, f"cannot be read: {error}.")]) from error

    def _read(self, image: str) -> bytes:
        name = self.name_of(image)
        return self._zip.read(name) if self._zip is not None else (self.place / name).read_bytes()

    def _spelling(self, image: str) -> str:
        """The name under which the picture lies here: as asked for, else the other spelling of its ISIC id."""
        if image in self._names:
            return image
        plain = isic_id(image)
        return plain if plain in self._names else f"{plain}{DOWNSAMPLED}"

    def picture(self, image: str) -> Image.Image:
        """The picture as RGB, fully decoded. Raises KeyError for an unknown name, ExamplesError for a broken file."""
        content = self.content(image)
        try:
            # As an upload is decoded: upright, transparency on white, colours in sRGB.
            return read_image(content, limits=PICTURE_LIMITS)
        except PhotoRejected as error:
            reason = f"is not a picture that can be used ({error.code}): {error.message}"
            raise ExamplesError([Fault(self.name_of(image), 0, reason)]) from error


@dataclass(frozen=True, slots=True)
class Examples:
    """A checked data set.

    `table` has the columns `COLUMNS` and one row per picture, sorted by image name; `fingerprint` is the sha256
    over its sorted "image,diagnosis,sha256" lines, so it names labels and pixels and nothing else.
    """

    name: str
    table: pd.DataFrame
    fingerprint: str

    def __len__(self) -> int:
        return len(self.table)


def read_examples(
    *,
    name: str,
    ground_truth: Path,
    metadata: Path | None = None,
    pictures: PictureStore | None = None,
    report: Report = silent,
) -> Examples:
    """Read and check the official tables, and hash the pictures when there are any.

    Raises ExamplesError with every fault found: unreadable file, other columns than the official ones, label that is
    not one-hot, UNK, a row twice, a picture or a metadata row missing, a word outside the ISIC vocabulary.
    """
    tables = read_tables(ground_truth=ground_truth, metadata=metadata)
    table, faults = tables.rows, tables.faults
    if pictures is not None:
        faults += [
            Fault(tables.labels_file, line, f"{image} has no picture in {pictures.place.name}.")
            for line, image in zip(table["line"], table["image"], strict=True)
            if image not in pictures
        ]
    if faults:
        raise ExamplesError(faults)
    table["sha256"] = "" if pictures is None else list(_hashes(table["image"].tolist(), pictures, report))
    return Examples(name=name, table=table[list(COLUMNS)], fingerprint=examples_fingerprint(table))


def examples_fingerprint(table: pd.DataFrame) -> str:
    """sha256 (hex) over the sorted "image,diagnosis,sha256" lines: it names labels and pixels and nothing else."""
    lines = sorted(
        f"{image},{diagnosis},{digest}\n"
        for image, diagnosis, digest in zip(table["image"], table["diagnosis"], table["sha256"], strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_of_test(table: pd.DataFrame, split: Split) -> str:
    """`examples_fingerprint` of the test split alone.

    Two classifiers are compared where it is equal: on the same pictures with the same labels.
    """
    return examples_fingerprint(table[table["image"].isin(split.images(TEST))])


def _hashes(images: Sequence[str], pictures: PictureStore, report: Report) -> Iterator[str]:
    for done, image in enumerate(images, start=1):
        yield hashlib.sha256(pictures.content(image)).hexdigest()
        if done % 100 == 0 or done == len(images):
            report(Progress("examples", done, len(images)))
