"""Cleans up orphans: folders on the storage that no row refers to, and uploads of ended imports.

The name of a folder holds the job and the attempt, so that the sweep can ask the database about it. Nothing here needs
pandas, because the sweep imports it.
"""

import logging
import uuid
from datetime import timedelta
from typing import Final

from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from training.models import Dataset, DatasetImport, ImageArchive
from training.services.datasets import FOLDER
from training.services.imports import discard_uploads

logger = logging.getLogger(__name__)

OF_COMMANDS: Final = ("shell", "eda")
"""First part of the names of folders that `manage.py import_isic2019` and `manage.py eda --store` make."""
ABANDONED_AFTER: Final = timedelta(days=1)
"""An import takes minutes at most between two files, so an older folder belongs to a command that was killed."""


def job_folder(job: DatasetImport, lease: uuid.UUID) -> str:
    """The folder for the files of this attempt at a job."""
    return f"{FOLDER}/import-{job.pk}-{lease.hex}"


def shell_folder() -> str:
    """A folder for the files of an import in the foreground, which deletes it on failure."""
    return f"{FOLDER}/shell-{uuid.uuid4().hex}"


def discard_folder(folder: str) -> None:
    """Delete a folder on the storage with its content; does nothing if there is none."""
    try:
        folders, files = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        discard_folder(f"{folder}/{name}")
    # On a disk the empty folder is left; an object store has no folders.
    default_storage.delete(folder)


def discard_unused(folder: str) -> bool:
    """Delete a folder that no row refers to. False if a row does, or if the database is away (the sweep tries again).

    It is called after every import that failed: the commit may have happened although its answer was lost.
    """
    try:
        if in_use(folder):
            return False
    except DatabaseError:
        # The connection is broken; the next query opens a new one.
        connection.close()
        logger.warning("The files of %s are left to the sweep: the database does not answer.", folder)
        return False
    discard_folder(folder)
    return True


def in_use(folder: str) -> bool:
    """Whether a data set has its pictures or charts in this folder."""
    inside = f"{folder}/"
    return (
        Dataset.objects.filter(Q(report__folder=folder) | Q(eda__charts__icontains=inside)).exists()
        or ImageArchive.objects.filter(name__startswith=inside).exists()
    )


def sweep_files() -> int:
    """Delete uploads of ended imports and folders without a row. Returns how many of both."""
    return discard_uploads() + discard_orphans()


def discard_orphans() -> int:
    """Delete unused folders of ended attempts at jobs, and of commands that were killed. Returns how many."""
    try:
        folders, _ = default_storage.listdir(FOLDER)
    except FileNotFoundError:
        return 0
    discarded = 0
    for folder in folders:
        whole = f"{FOLDER}/{folder}"
        parts = folder.split("-")
        if len(parts) == 3 and parts[0] == "import" and parts[1].isdigit():
            job = DatasetImport.objects.filter(pk=int(parts[1])).first()
            if job is None or (job.lease is not None and job.lease.hex == parts[2]):
                continue
        elif len(parts) != 2 or parts[0] not in OF_COMMANDS or in_use(whole) or not _old(whole):
            # A command has no lease; while it works, its newest file is young.
            continue
        discarded += discard_unused(whole)
    return discarded


def _old(folder: str) -> bool:
    """Whether the newest file of a folder is older than `ABANDONED_AFTER`; an empty folder counts as new."""
    try:
        _folders, files = default_storage.listdir(folder)
        times = [default_storage.get_modified_time(f"{folder}/{name}") for name in files]
    except (FileNotFoundError, NotADirectoryError):
        return False
    return bool(times) and max(times) < timezone.now() - ABANDONED_AFTER
