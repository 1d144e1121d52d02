"""Notices about people: unsent e-mails and missing consent texts."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count, Min
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import ConsentText, Notification, Purpose
from diagnoses.monitoring.notices.registry import Level, Notice, length_of

EMAIL_LATE: Final = timedelta(minutes=30)
"""E-mails are sent every minute and tried again within minutes. Later than this, something is wrong."""


def emails() -> Iterator[Notice]:
    """Notifications whose e-mail should have been sent and was not."""
    late = Notification.objects.to_send().filter(created__lt=timezone.now() - EMAIL_LATE)
    found = late.aggregate(count=Count("pk"), oldest=Min("created"))
    if not found["count"]:
        yield Notice(Level.WELL, _("No e-mail waits to be sent."))
        return
    said = ngettext(
        "%(count)d e-mail has been waiting to be sent for %(time)s. Does the mail server answer?",
        "%(count)d e-mails wait to be sent, the oldest for %(time)s. Does the mail server answer?",
        found["count"],
    )
    path = f"{reverse('admin:accounts_notification_changelist')}?sending=waiting"
    yield Notice(
        Level.SOON,
        said % {"count": found["count"], "time": length_of(timezone.now() - found["oldest"])},
        path,
        _("Unsent e-mails"),
    )


def consent_texts() -> Iterator[Notice]:
    """Purposes without a published consent text."""
    path = reverse("admin:accounts_consenttext_changelist")
    if ConsentText.objects.current(Purpose.DIAGNOSIS) is None:
        yield Notice(
            Level.SOON, _("There is no text by which patients agree to the diagnosis of their photos."), path,
            _("Consent texts"),
        )  # fmt: skip
    if ConsentText.objects.current(Purpose.TRAINING) is None:
        yield Notice(
            Level.SOON, _("There is no text by which patients agree to training with their photos."), path,
            _("Consent texts"),
        )  # fmt: skip
