"""The zip that holds the images of a data set: written to a temporary file, stored, and read again for training.

It is not compressed: JPEGs do not shrink, and single images can be read without unpacking the rest. The bytes are those
of the imported file, so the SHA-256 of an example is that of the file in the ISIC archive.
"""

import hashlib
import threading
import zipfile
from pathlib import Path
from typing import IO, Any, Final

from django.core.files.base import File
from django.core.files.storage import default_storage

from recognition.datasets.pictures import PICTURE_BYTES_MAX, PictureStore, read_member
from recognition.progress import Progress, Report
from training.data.import_errors import writing
from training.models import Dataset, ImageArchive

# The earliest time a zip can hold. It is fixed, so that the same images always make the same archive.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_CHUNK: Final = 1024 * 1024


class ArchiveWriter:
    """Writes images into a zip at `path`. Use as a context manager; after it the file is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        with writing("the images"):
            self._zip = zipfile.ZipFile(path, "w", compression=zipfile.ZIP_STORED)

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with writing("the images"):
            self._zip.close()

    def add(self, member: str, content: bytes) -> None:
        """Append one image. Raises DatasetImportError if the disk is full."""
        with writing("the images"):
            self._zip.writestr(zipfile.ZipInfo(member, _EPOCH), content)
        self.count += 1


class _WatchedFile(File[bytes]):
    """A file that reports how much of it was read, so that storing gigabytes renews the lease."""

    def __init__(self, file: IO[bytes], *, total: int, report: Report) -> None:
        super().__init__(file)
        self._source = file
        self._total = max(total, 1)
        self._report = report

    def read(self, *args: Any) -> bytes:
        content = self._source.read(*args)
        self._report(Progress("storing", min(self._source.tell(), self._total), self._total))
        return content


def store_archive(path: Path, *, name: str, report: Report) -> ImageArchive:
    """Put the zip at `path` on the default storage as `name`; returns the unsaved row.

    Raises DatasetImportError if the storage does not take it; then nothing stays there.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            report(Progress("checksum", file.tell(), size))
    stored = name
    try:
        with writing("the images"), path.open("rb") as file:
            stored = default_storage.save(name, _WatchedFile(file, total=size, report=report))
    except BaseException:
        default_storage.delete(name)
        raise
    return ImageArchive(name=stored, sha256=digest.hexdigest(), size=size)


class DatasetPictures(PictureStore):
    """The pictures of a sealed data set in all its archives, by their names in the data set.

    Same interface as `PictureStore`. Raises FileNotFoundError if an archive is gone from the storage, and one of
    BROKEN_ARCHIVE if it is broken.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.place = Path(dataset.name)
        self._names: dict[str, str] = {}
        self._opened: list[Any] = []
        self._zips: dict[int, zipfile.ZipFile] = {}
        self._where: dict[str, int] = {}
        self._reading = threading.Lock()  # see PictureFiles
        rows = dataset.examples.filter(archive__isnull=False)
        for image, member, key in rows.values_list("image", "member", "archive_id"):
            assert key is not None
            self._names[image] = member
            self._where[image] = key
        try:
            for archive in ImageArchive.objects.filter(pk__in=set(self._where.values())):
                file = default_storage.open(archive.name, "rb")
                self._opened.append(file)
                self._zips[archive.pk] = zipfile.ZipFile(file)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the archives."""
        for each in (*self._zips.values(), *self._opened):
            each.close()

    def size_of(self, image: str) -> int:
        """The file's size in bytes. Raises KeyError for an unknown name."""
        return self._zips[self._where[image]].getinfo(self._names[image]).file_size

    def _read(self, image: str) -> bytes:
        with self._reading:
            return read_member(self._zips[self._where[image]], self.name_of(image), max_bytes=PICTURE_BYTES_MAX)

    def _spelling(self, image: str) -> str:
        return image
