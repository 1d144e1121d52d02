"""Own `Reminder`: the day on which a spot should be photographed again."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MONTHS = (3, 6, 12)
"""What a person may choose."""


class ReminderQuerySet(models.QuerySet["Reminder"]):
    def standing(self) -> "ReminderQuerySet":
        """Neither kept by a new photo nor called off."""
        return self.filter(ended__isnull=True)

    def due(self) -> "ReminderQuerySet":
        """Standing, its day has come, and the person has not been told yet."""
        return self.standing().filter(due__lte=timezone.localdate(), sent__isnull=True)


class Reminder(models.Model):
    """One spot, one day. A spot has one standing reminder at most."""

    lesion = models.ForeignKey("diagnoses.Lesion", on_delete=models.CASCADE, related_name="reminders")
    months = models.PositiveSmallIntegerField(_("after so many months"))
    due = models.DateField(_("due"))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    sent = models.DateTimeField(_("sent"), null=True, blank=True)
    # A new photo of the spot, another reminder, or the person ended it.
    ended = models.DateTimeField(_("ended"), null=True, blank=True)

    objects: ClassVar[ReminderQuerySet] = ReminderQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        ordering = ["due", "id"]
        indexes = [
            models.Index(fields=["due"], name="reminder_due", condition=Q(ended__isnull=True, sent__isnull=True))
        ]
        constraints = [
            models.UniqueConstraint(fields=["lesion"], condition=Q(ended__isnull=True), name="reminder_one_standing"),
            models.CheckConstraint(condition=Q(months__in=MONTHS), name="reminder_months_offered"),
        ]

    def __str__(self) -> str:
        return f"{self.lesion_id} {self.due}"
