"""Own `ErasedFile`: a stored file that must go, remembered until it is gone."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ErasedFile(models.Model):
    """Written in the transaction that deletes the row which named the file; deleted when the storage has let go.

    A name that ends with a slash is a folder: everything directly in it goes.

    So a storage that is down at that moment leaves no pixel behind for good (RELIABILITY R15).
    """

    name = models.CharField(_("name on the storage"), max_length=200, unique=True)
    # When it is tried, or looked into once more.
    due = models.DateTimeField(_("due"), default=timezone.now, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("erased file")
        verbose_name_plural = _("erased files")

    def __str__(self) -> str:
        return self.name
