"""Deletes stored files so that none is forgotten."""

import functools
import logging

from django.core.files.storage import default_storage
from django.db import transaction

from diagnoses.models import ErasedFile

logger = logging.getLogger(__name__)


def erase_files(names: list[str]) -> None:
    """Inside a transaction: remember that these files must go, and delete them once it is committed."""
    ErasedFile.objects.bulk_create([ErasedFile(name=name) for name in names], ignore_conflicts=True)
    transaction.on_commit(functools.partial(finish_erasure, names))


def finish_erasure(names: list[str] | None = None) -> int:
    """Delete remembered files from the storage: these, or all that are left. Returns how many are gone now.

    A storage error leaves the row for the next sweep.
    """
    rows = ErasedFile.objects.all() if names is None else ErasedFile.objects.filter(name__in=names)
    gone = 0
    for row in rows.order_by("pk")[:500]:
        try:
            default_storage.delete(row.name)
        except Exception:
            logger.exception("A file that must be erased could not be deleted; it will be tried again.")
            continue
        row.delete()
        gone += 1
    return gone
