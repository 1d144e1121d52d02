"""Storage of private files on disk: atomic writes, and no public URLs."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class PrivateDiskStorage(FileSystemStorage):
    """`FileSystemStorage` with crash-safe writes and without public URLs.

    A file is written to a temporary name in its folder, flushed to the disk and renamed. After a power cut it is
    complete or missing (RELIABILITY R1, R20). `url()` raises, because files are served only by views that check
    permission (R9).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700, **options})

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            # Names are made from random ids. A second file of the same name is a bug, so it is not renamed.
            os.link(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
        _flush_directory(target.parent)
        return name

    def url(self, name: str | None) -> str:
        raise ValueError("Private files have no URL.")


def _flush_directory(path: Path) -> None:
    """Flush a rename in the folder `path` to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
