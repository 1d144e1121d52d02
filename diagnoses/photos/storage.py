"""Private files on disk: written whole or not at all, and reachable by no URL."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class PrivateDiskStorage(FileSystemStorage):
    """`FileSystemStorage` that survives a crash and has no public address.

    A file is written to a temporary name in its folder, flushed to the disk and renamed, so that after a power cut
    it is there whole or not there (RELIABILITY R1, R20). `url()` raises: every byte goes through a view that asks
    who is asking (R9).
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
            # Names are made here from random ids; a second file of the same name is a bug, not something to rename.
            os.link(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
        _flush_directory(target.parent)
        return name

    def url(self, name: str | None) -> str:
        raise ValueError("Private files have no URL.")


def _flush_directory(path: Path) -> None:
    """Make a rename in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
