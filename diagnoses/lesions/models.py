"""`Lesion`: one spot on a patient's skin. `Reminder`: to photograph a spot again."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import User
from diagnoses.fields import SITE_CHOICES

MONTHS = (3, 6, 12)
"""The numbers of months a patient may choose."""


class BodyView(models.TextChoices):
    """The two drawings of the body map."""

    FRONT = "front", pgettext_lazy("view of the body", "Front")
    BACK = "back", pgettext_lazy("view of the body", "Back")


class LesionQuerySet(models.QuerySet["Lesion"]):
    def visible_to(self, user: User | AnonymousUser) -> "LesionQuerySet":
        """The user's own lesions; all lesions for clinicians and administrators. The same rule as for photos."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        return self if user.sees_all_patients else self.filter(owner=user)


class Lesion(models.Model):
    """One spot on one patient's skin, placed on the body map or named by its site, or both."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="lesions")
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=100)
    anatom_site_general = models.CharField(_("site"), max_length=20, choices=SITE_CHOICES, blank=True)
    # The place on a drawing: shares of its width and height from the upper left, 0 to 1. All three or none.
    body_view = models.CharField(_("side of the body"), max_length=5, choices=BodyView.choices, blank=True)
    body_x = models.FloatField(_("place across"), null=True, blank=True)
    body_y = models.FloatField(_("place down"), null=True, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects: ClassVar[LesionQuerySet] = LesionQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("lesion")
        verbose_name_plural = _("lesions")
        ordering = ["-created", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(body_view="", body_x__isnull=True, body_y__isnull=True)
                | Q(body_view__in=BodyView.values, body_x__gte=0, body_x__lte=1, body_y__gte=0, body_y__lte=1)
                # In SQL a comparison with null is null, and a check that is null passes.
                & Q(body_x__isnull=False, body_y__isnull=False),
                name="lesion_placed_whole",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_placed(self) -> bool:
        """Whether it has a place on the body map."""
        return bool(self.body_view)


class ReminderQuerySet(models.QuerySet["Reminder"]):
    def standing(self) -> "ReminderQuerySet":
        """Active reminders: not ended by a new photo, a newer reminder or the patient."""
        return self.filter(ended__isnull=True)

    def due(self) -> "ReminderQuerySet":
        """Active reminders whose day has come and whose owner has not been notified."""
        return self.standing().filter(due__lte=timezone.localdate(), sent__isnull=True)

    def end_by_photo(self, lesion: Lesion, taken: datetime) -> bool:
        """End the reminders of a lesion that were set before a new photo of it."""
        return bool(self.standing().filter(lesion=lesion, created__lt=taken).update(ended=timezone.now()))


class Reminder(models.Model):
    """The day on which to photograph a spot again. A spot has at most one active reminder."""

    lesion = models.ForeignKey("diagnoses.Lesion", on_delete=models.CASCADE, related_name="reminders")
    months = models.PositiveSmallIntegerField(_("after so many months"))
    due = models.DateField(_("due"))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    sent = models.DateTimeField(_("sent"), null=True, blank=True)
    # Set when a new photo, another reminder or the patient ended it.
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
