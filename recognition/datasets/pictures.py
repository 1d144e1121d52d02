"""The picture files of a folder or a zip: finding them, reading their bytes, decoding them."""

import lzma
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from PIL import Image

from recognition.datasets.layouts import DOWNSAMPLED, isic_id
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image

PICTURE_TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".mpo": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""The suffixes of picture files and their content types. Decoding checks the bytes, whatever the suffix."""

PICTURE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of one picture file, 64 MB. The largest picture of the ISIC archive has 20 MB."""

PICTURE_LIMITS: Final = IntakeLimits(max_bytes=PICTURE_BYTES_MAX, min_side=16)
"""The limits for an operator's own pictures: larger files and smaller crops than for an upload."""

BROKEN_ARCHIVE: Final = (
    OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, EOFError, RuntimeError,
)  # fmt: skip
"""What opening a broken zip or reading one of its members raises. ValueError: names in no known encoding, an
offset before the file begins. RuntimeError: an encrypted member; its subclass NotImplementedError: a zip made for a
newer reader, or a compression Python does not know. struct.error is a precaution (a header that is cut short): in
80,000 spoiled zips it did not come, and nothing came that is not listed."""


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of a picture."""
    return PurePosixPath(name).suffix.lower() in PICTURE_TYPES


@contextmanager
def readable(name: str, sentence: str = "cannot be read") -> Iterator[None]:
    """A context manager that turns the errors of a disk or a broken archive into ExamplesError about `name`."""
    try:
        yield
    except BROKEN_ARCHIVE as error:
        reason = f"{sentence}: {str(error) or type(error).__name__}."
        raise ExamplesError([FileProblem(name, 0, reason)]) from error


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """The file's bytes, at most one more than `max_bytes`. Raises ExamplesError."""
    with readable(path.name), path.open("rb") as file:
        return file.read(max_bytes + 1)


def read_member(archive: zipfile.ZipFile, name: str, *, max_bytes: int) -> bytes:
    """The bytes of one file of a zip, at most one more than `max_bytes`, so that a zip bomb is not unpacked.

    Raises ExamplesError, and KeyError for a name that is not in the zip.
    """
    with readable(name), archive.open(name) as file:
        return file.read(max_bytes + 1)


class PictureFiles:
    """The picture files in a folder or a zip, by their names there.

    `names` is sorted; `passed_over` counts the files without a picture's suffix. Hidden files and the shadow files of
    macOS archives are in neither. Nothing is unpacked to disk, so a path inside a zip can do no harm. Several threads
    may read. Raises ExamplesError when the place cannot be read. Use as a context manager, or call `close`.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._zip: zipfile.ZipFile | None = None
        # zipfile counts its open members without a lock, and closes the file when a count is lost.
        self._reading = threading.Lock()
        with readable(place.name, "cannot be read as a folder or a zip file"):
            if place.is_dir():
                found = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
            else:
                self._zip = zipfile.ZipFile(place)
                found = sorted(info.filename for info in self._zip.infolist() if not info.is_dir())
        shown = [name for name in found if not _hidden(name)]
        self.names = [name for name in shown if is_picture(name)]
        self.passed_over = len(shown) - len(self.names)

    def __enter__(self) -> "PictureFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()

    def size_of(self, name: str) -> int:
        """The file's size in bytes, unpacked."""
        return self._zip.getinfo(name).file_size if self._zip is not None else (self.place / name).stat().st_size

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The file's bytes, at most one more than `max_bytes`. Raises ExamplesError where they cannot be read."""
        if self._zip is not None:
            with self._reading:
                return read_member(self._zip, name, max_bytes=max_bytes)
        return read_file(self.place / name, max_bytes=max_bytes)


def _hidden(name: str) -> bool:
    """Whether a file is hidden or a shadow file of a macOS archive ("__MACOSX/._name.jpg")."""
    path = PurePosixPath(name)
    return path.name.startswith(".") or "__MACOSX" in path.parts


class Pictures(Protocol):
    """A source of pictures by ISIC name."""

    def picture(self, image: str) -> Image.Image:
        """The picture as RGB, fully decoded. Raises KeyError for an unknown name, ExamplesError for a broken file."""
        ...


class PictureStore:
    """The pictures of a data set in a folder or a zip, found by their ISIC name (file name without suffix).

    Raises ExamplesError when the place cannot be read or holds one name twice. Use as a context manager, or call
    `close`.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._files = PictureFiles(place)
        self._names: dict[str, str] = {}
        problems = []
        for name in self._files.names:
            image = PurePosixPath(name).stem
            if image in self._names:
                reason = f"{image} is there twice: {self._names[image]} and {name}."
                problems.append(FileProblem(place.name, 0, reason))
            self._names[image] = name
        if problems:
            self.close()
            raise ExamplesError(problems)

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
        """Close the zip."""
        self._files.close()

    def name_of(self, image: str) -> str:
        """The file's name in the folder or zip. Raises KeyError for an unknown name."""
        return self._names[self._spelling(image)]

    def size_of(self, image: str) -> int:
        """The file's size in bytes, unpacked. Raises KeyError for an unknown name."""
        return self._files.size_of(self.name_of(image))

    def content(self, image: str) -> bytes:
        """The file's bytes. Raises KeyError for an unknown name, ExamplesError where they cannot be read."""
        content = self._read(image)
        if len(content) > PICTURE_BYTES_MAX:
            reason = "cannot be read: it is too large for a picture."
            raise ExamplesError([FileProblem(self.name_of(image), 0, reason)])
        return content

    def _read(self, image: str) -> bytes:
        return self._files.read(self.name_of(image), max_bytes=PICTURE_BYTES_MAX)

    def _spelling(self, image: str) -> str:
        """The name of the picture in this store: `image` itself, or its ISIC id with or without `_downsampled`."""
        if image in self._names:
            return image
        plain = isic_id(image)
        return plain if plain in self._names else f"{plain}{DOWNSAMPLED}"

    def picture(self, image: str) -> Image.Image:
        """The picture as RGB, fully decoded. Raises KeyError for an unknown name, ExamplesError for a broken file."""
        content = self.content(image)
        try:
            # Decoded like an upload: upright, transparency on white, colours in sRGB.
            return read_image(content, limits=PICTURE_LIMITS)
        except PhotoRejected as error:
            reason = f"is not a picture that can be used ({error.code}): {error.message}"
            raise ExamplesError([FileProblem(self.name_of(image), 0, reason)]) from error
