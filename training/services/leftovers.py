"""Own the folders on the storage that an import writes before its rows exist, and what becomes of those left behind.

A folder is named after the job and the attempt, so that whoever finds it can tell from the database whether anything
refers to it. Nothing here needs pandas: the sweep calls it.
"""

import uuid

from django.core.files.storage import default_storage

from training.models import DatasetImport
from training.services.datasets import FOLDER
from training.services.imports import discard_uploads


def job_folder(job: DatasetImport, lease: uuid.UUID) -> str:
    """Where this attempt at this job puts its files."""
    return f"{FOLDER}/import-{job.pk}-{lease.hex}"


def shell_folder() -> str:
    """Where an import in the foreground puts its files; it cleans up after itself."""
    return f"{FOLDER}/shell-{uuid.uuid4().hex}"


def discard_folder(folder: str) -> None:
    """Delete a folder on the storage with all that is in it; fine where it is not there."""
    try:
        folders, files = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        discard_folder(f"{folder}/{name}")
    # Folders are something on a disk; an object store has none left by now.
    default_storage.delete(folder)


def sweep_files() -> int:
    """Throw away uploads of imports that ended and folders nobody refers to. Returns how many of both."""
    return discard_uploads() + discard_leftovers()


def discard_leftovers() -> int:
    """Delete the folders of jobs that ended (or are tried again) without them. Returns how many there were."""
    try:
        folders, _ = default_storage.listdir(FOLDER)
    except FileNotFoundError:
        return 0
    discarded = 0
    for folder in folders:
        parts = folder.split("-")
        if len(parts) != 3 or parts[0] != "import" or not parts[1].isdigit():
            continue
        job = DatasetImport.objects.filter(pk=int(parts[1])).select_related("dataset").first()
        if job is None or (job.lease is not None and job.lease.hex == parts[2]):
            continue
        if job.dataset is not None and job.dataset.report.get("folder") == f"{FOLDER}/{folder}":
            continue
        discard_folder(f"{FOLDER}/{folder}")
        discarded += 1
    return discarded
