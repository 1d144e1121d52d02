"""Records that a backup was made. The tools of the database and the operating system make the backup itself."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from diagnoses.monitoring.models import BackupRecord

CUSTOM_FORMAT: Final = b"PGDMP"
"""The first bytes of a file of `pg_dump --format=custom`."""

CHUNK: Final = 1024 * 1024


class BackupRefused(Exception):
    """Raised if a given file is missing, empty or has another type than its name says."""


def record_backup(*, files: Sequence[Path] = (), note: str = "") -> BackupRecord:
    """Record that a backup was made just now, with size and SHA-256 of the given files.

    A file named `….dump` must come from `pg_dump --format=custom`. Raises BackupRefused and records nothing if a file
    is missing, empty or of another type.
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
