"""`ClassifierAlarm`: degenerate output of the live classifier. `BackupRecord`: a backup was made."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ClassifierAlarmQuerySet(models.QuerySet["ClassifierAlarm"]):
    def ringing(self) -> "ClassifierAlarmQuerySet":
        """Active alarms about the live classifier."""
        return self.filter(cleared__isnull=True, classifier__stage="live")


class ClassifierAlarm(models.Model):
    """One alarm: raised once, cleared when the output is normal again or the classifier is replaced."""

    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.CASCADE, related_name="alarms")
    code = models.CharField(_("what"), max_length=40)
    # The figures from `recognition.inference.degenerate_output`.
    detail = models.JSONField(_("figures"), default=dict)
    raised = models.DateTimeField(_("raised"), default=timezone.now, editable=False)
    cleared = models.DateTimeField(_("cleared"), null=True, blank=True)

    objects: ClassVar[ClassifierAlarmQuerySet] = ClassifierAlarmQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        ordering = ["-raised", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["classifier"], condition=Q(cleared__isnull=True), name="alarm_one_a_classifier"
            )
        ]

    def __str__(self) -> str:
        return f"{self.classifier}: {self.code}"


class BackupRecord(models.Model):
    """A backup that was recorded by `manage.py record_backup`. The database's own tools made it.

    The row does not say that the backup can be restored. A restore drill tests that.
    """

    created = models.DateTimeField(_("recorded"), default=timezone.now, editable=False)
    # [{"name", "size" in bytes, "sha256", "kind": "database" or "file"}, ...] of the given files; may be empty.
    files = models.JSONField(_("files"), default=list, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M}"
