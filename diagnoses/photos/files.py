"""Deletes stored files reliably, through an outbox of names."""

import contextlib
import functools
import logging
from datetime import timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from diagnoses.photos.models import ErasedFile

logger = logging.getLogger(__name__)

BATCH = 500
"""Names handled in one sweep. The next sweep comes within seconds."""


def erase_files(names: list[str]) -> None:
    """Record inside a transaction that these files must be deleted, and delete them after the commit.

    A name that ends with a slash is a folder (on S3 a prefix) with all files directly in it. The folder is checked
    again until no worker can still write to it.
    """
    ErasedFile.objects.bulk_create([ErasedFile(name=name) for name in names], ignore_conflicts=True)
    transaction.on_commit(functools.partial(finish_erasure, names))


def finish_erasure(names: list[str] | None = None) -> int:
    """Delete recorded files from the storage: the given ones, or all that are due. Returns the number of handled names.

    After a storage error the row is kept for the next sweep.
    """
    now = timezone.now()
    rows = ErasedFile.objects.filter(due__lte=now) if names is None else ErasedFile.objects.filter(name__in=names)
    done = 0
    for row in rows.order_by("due", "pk")[:BATCH]:
        is_folder = row.name.endswith("/")
        try:
            if is_folder:
                _empty(row.name)
            else:
                default_storage.delete(row.name)
        except Exception:
            logger.exception("A file that must be erased could not be deleted; it will be tried again.")
            continue
        done += 1
        if is_folder and now < row.created + _still_written():
            ErasedFile.objects.filter(pk=row.pk).update(due=row.created + _still_written())
        else:
            row.delete()
    return done


def _still_written() -> timedelta:
    """How long a worker that had claimed an erased photo may still write a heatmap. Doubled for inaccurate clocks."""
    return 2 * timedelta(seconds=max(settings.PREDICTION_TIME_LIMIT, settings.PREDICTION_LEASE.total_seconds()))


def _empty(folder: str) -> None:
    """Delete every file of a folder, and on a disk the folder itself. Raises the storage's errors."""
    try:
        _folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        if name:  # S3 lists a folder that was created by hand as a file without a name
            default_storage.delete(f"{folder}{name}")
    # Only disks have empty folders. A folder that a worker has just written to is deleted the next time.
    with contextlib.suppress(OSError):
        default_storage.delete(folder.rstrip("/"))
