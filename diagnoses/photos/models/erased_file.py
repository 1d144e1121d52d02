"""`ErasedFile`: a stored file that must be deleted; the outbox of deletions."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ErasedFile(models.Model):
    """Written in the transaction that deletes the row of the file. Removed after the file has been deleted.

    A name that ends with a slash is a folder: all files directly in it are deleted.

    If the storage is down, the file is deleted later (RELIABILITY R15).
    """

    name = models.CharField(_("name on the storage"), max_length=200, unique=True)
    # When the next attempt is due.
    due = models.DateTimeField(_("due"), default=timezone.now, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("erased file")
        verbose_name_plural = _("erased files")

    def __str__(self) -> str:
        return self.name
