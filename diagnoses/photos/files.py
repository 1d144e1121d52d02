"""Deletes stored files so that none is forgotten."""

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
"""Names handled at a time; the next sweep comes in seconds."""


def erase_files(names: list[str]) -> None:
    """Inside a transaction: remember that these files must go, and delete them once it is committed.

    A name with a slash at its end is a folder (on S3 a prefix) with the files directly in it, whatever they are called.
    It is looked into again until no worker can still be writing there.
    """
    ErasedFile.objects.bulk_create([ErasedFile(name=name) for name in names], ignore_conflicts=True)
    transaction.on_commit(functools.partial(finish_erasure, names))


def finish_erasure(names: list[str] | None = None) -> int:
    """Delete remembered files from the storage: these, or all that are due. Returns how many names were dealt with.

    A storage error leaves the row for the next sweep.
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
    """For so long a worker that held a photo when it was erased may put a heatmap beside it. Twice, for slow clocks."""
    return 2 * timedelta(seconds=max(settings.PREDICTION_TIME_LIMIT, settings.PREDICTION_LEASE.total_seconds()))


def _empty(folder: str) -> None:
    """Delete every file of a folder, and on a disk the folder. Raises what the storage raises."""
    try:
        _folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        if name:  # S3 lists a folder that somebody made by hand as a file without a name
            default_storage.delete(f"{folder}{name}")
    # A disk keeps empty folders, S3 has none; one that a worker has just written into goes the next time.
    with contextlib.suppress(OSError):
        default_storage.delete(folder.rstrip("/"))
