"""Own `BackupRecord`: somebody made a backup, and what was seen of it."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class BackupRecord(models.Model):
    """Written by `manage.py record_backup` after the backup itself, which is made with the database's own tools.

    It says that a backup was made, not that it can be restored: that is tried by a drill.
    """

    created = models.DateTimeField(_("recorded"), default=timezone.now, editable=False)
    # [{"name", "size" in bytes, "sha256", "kind": "database" or "file"}, ...] of the files it was shown; may be empty.
    files = models.JSONField(_("files"), default=list, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M}"
