"""`Notification`: a message to one user, shown on the site and sent by e-mail."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unread(self) -> "NotificationQuerySet":
        return self.filter(read__isnull=True)

    def to_send(self) -> "NotificationQuerySet":
        """Notifications whose e-mail has not been sent yet. The rows are the outbox."""
        return self.filter(email_due=True, emailed__isnull=True)


class Notification(models.Model):
    """One notification of one user. Its text is made from `kind` and `data` in the reader's language."""

    class Kind(models.TextChoices):
        RESULT = "result", _("Result")
        FAILED = "failed", _("Photo could not be analysed")
        REVIEW = "review", _("Clinician's review")
        HISTOPATHOLOGY = "histopathology", _("Histopathology")
        REMINDER = "reminder", _("Reminder")
        SECOND_READING = "second-reading", _("Second reading wanted")
        ADJUDICATION = "adjudication", _("Adjudication wanted")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    # "photo:<id>" or "lesion:<id>". Deleting the photo or lesion deletes its notifications.
    subject = models.CharField(_("subject"), max_length=60)
    # The page it links to, a path of this application.
    path = models.CharField(_("path"), max_length=200)
    # Unique for each user. A repeated task makes no second notification.
    key = models.CharField(max_length=120, editable=False)
    data = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    read = models.DateTimeField(_("read"), null=True, blank=True)
    email_due = models.BooleanField(default=False)
    emailed = models.DateTimeField(_("sent by e-mail"), null=True, blank=True)
    email_attempts = models.PositiveSmallIntegerField(default=0)
    # The claim: written before an attempt. No other worker sends this e-mail until a pause has passed.
    email_tried = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[NotificationQuerySet] = NotificationQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-created", "-id"]
        indexes = [
            models.Index(F("user"), F("created").desc(), F("id").desc(), name="notification_newest"),
            models.Index(
                fields=["created"], name="notification_to_send", condition=Q(email_due=True, emailed__isnull=True)
            ),
            models.Index(fields=["subject"], name="notification_subject"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="notification_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
