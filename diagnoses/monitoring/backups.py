"""Writes that a backup was made. The backup itself is the business of the database's and the system's own tools."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from diagnoses.monitoring.models import BackupRecord

CUSTOM_FORMAT: Final = b"PGDMP"
"""What a file of `pg_dump --format=custom` begins with."""

CHUNK: Final = 1024 * 1024


class BackupRefused(Exception):
    """A file that was shown is not there, empty, or not what it is called."""


def record_backup(*, files: Sequence[Path] = (), note: str = "") -> BackupRecord:
    """Note that a backup was made just now, with the size and SHA-256 of the files that are shown.

    A file named `….dump` must be one of `pg_dump --format=custom`. Raises BackupRefused, and notes nothing, for a file
    that is missing, empty or another.
    """
    return BackupRecord.objects.create(files=[_looked_at(path) for path in files], note=note[:200])


def _looked_at(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = 0
    beginning = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                beginning = beginning or chunk[: len(CUSTOM_FORMAT)]
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise BackupRefused(f"{path.name} cannot be read: {error.strerror}.") from error
    if not size:
        raise BackupRefused(f"{path.name} is empty.")
    is_database = beginning == CUSTOM_FORMAT
    if path.suffix == ".dump" and not is_database:
        raise BackupRefused(f"{path.name} is not a file of pg_dump --format=custom.")
    kind = "database" if is_database else "file"
    return {"name": path.name, "size": size, "sha256": digest.hexdigest(), "kind": kind}
