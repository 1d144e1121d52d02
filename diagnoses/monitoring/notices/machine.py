"""Notices about the machine: disk space, files that should have been deleted, the last backup."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnoses.monitoring.models import BackupRecord
from diagnoses.monitoring.notices.registry import Level, Notice, length_of
from diagnoses.photos.models import ErasedFile, Photo

FULL: Final = 0.05
"""Free share of the disk below which it is urgent: a busy day, a backup or a training run can fill it."""

NEARLY_FULL: Final = 0.15
"""Free share of the disk below which space should be made soon."""

ERASURE_LATE: Final = timedelta(days=1)
"""Files of deleted photos normally disappear within seconds. After this time somebody should check."""


def disk() -> Iterator[Notice]:
    """Free disk space for photos. Not checked for S3 buckets."""
    if not isinstance(storages["default"], FileSystemStorage):
        return
    place = Path(settings.MEDIA_ROOT)
    while not place.exists():  # the folder does not exist before the first photo
        place = place.parent
    usage = shutil.disk_usage(place)
    free = usage.free / usage.total
    level = Level.NOW if free < FULL else Level.SOON if free < NEARLY_FULL else Level.WELL
    yield Notice(level, _("The disk of the photos has %(free)s free.") % {"free": filesizeformat(usage.free)})


def erasure() -> Iterator[Notice]:
    """Files of deleted photos that could not be deleted from the storage."""
    late = ErasedFile.objects.filter(created__lt=timezone.now() - ERASURE_LATE).count()
    if late:
        said = ngettext(
            "%(count)d file of a deleted photo could not be removed for more than a day. Does the storage answer?",
            "%(count)d files of deleted photos could not be removed for more than a day. Does the storage answer?",
            late,
        )
        yield Notice(Level.SOON, said % {"count": late})


def backup() -> Iterator[Notice]:
    """The age of the last recorded backup (`manage.py record_backup`)."""
    path, link = reverse("admin:diagnoses_backuprecord_changelist"), _("Backups")
    last = BackupRecord.objects.first()
    if last is None:
        if Photo.objects.exists():
            yield Notice(
                Level.SOON,
                _("No backup was ever recorded. How to make one, and tell this page of it: docs/operations.md."),
                path,
                link,
            )
        return
    age = timezone.now() - last.created
    said = _("The last backup was recorded %(time)s ago.") % {"time": length_of(age)}
    yield Notice(Level.SOON if age > settings.BACKUP_EXPECTED_EVERY else Level.WELL, said, path, link)
