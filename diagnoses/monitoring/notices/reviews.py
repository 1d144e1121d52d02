"""Notices about work for clinicians: unread urgent photos, requested reviews, second readings."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count, Min, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnoses.monitoring.notices.registry import Level, Notice, length_of
from diagnoses.photos.models import Photo

URGENT: Final = 3
"""The highest `Photo.priority`: the advice is to see a doctor within days."""

URGENT_UNREAD_LONG: Final = timedelta(hours=24)
"""The advice says days, so a clinician should read the photo within one day."""

REQUESTED_LONG: Final = timedelta(days=7)
"""The patient who asked for a review gets no information while it waits."""

SECOND_LONG: Final = timedelta(days=7)
"""The patient gets no diagnosis while a photo waits for another reader."""


def urgent_unread() -> Iterator[Notice]:
    """Urgent photos that no clinician has read."""
    unread = Photo.objects.filter(review_state=Photo.ReviewState.UNREAD, priority=URGENT)
    found = unread.aggregate(count=Count("pk"), oldest=Min("created"))
    if not found["count"]:
        yield Notice(Level.WELL, _("Clinicians have read every photo with urgent advice."))
        return
    age = timezone.now() - found["oldest"]
    said = ngettext(
        "%(count)d photo with urgent advice has been waiting for a clinician for %(time)s.",
        "%(count)d photos with urgent advice wait for a clinician, the oldest for %(time)s.",
        found["count"],
    )
    yield Notice(
        Level.NOW if age > URGENT_UNREAD_LONG else Level.SOON,
        said % {"count": found["count"], "time": length_of(age)},
        reverse("review-list"),
        _("Worklist"),
    )


def requested() -> Iterator[Notice]:
    """Open reviews that patients asked for."""
    wanted = Photo.objects.filter(review_requested__isnull=False, review_closed__isnull=True)
    found = wanted.aggregate(count=Count("pk"), oldest=Min("review_requested"))
    if not found["count"]:
        return
    age = timezone.now() - found["oldest"]
    said = ngettext(
        "%(count)d review that a patient asked for has been open for %(time)s.",
        "%(count)d reviews that patients asked for are open, the oldest for %(time)s.",
        found["count"],
    )
    yield Notice(
        Level.SOON if age > REQUESTED_LONG else Level.GOING_ON,
        said % {"count": found["count"], "time": length_of(age)},
        reverse("review-list"),
        _("Worklist"),
    )


def second_readings() -> Iterator[Notice]:
    """Photos that wait for a second reader or for adjudication."""
    states = (Photo.ReviewState.SECOND, Photo.ReviewState.ADJUDICATION)
    found = Photo.objects.filter(review_state__in=states).aggregate(
        seconds=Count("pk", filter=Q(review_state=Photo.ReviewState.SECOND)),
        adjudications=Count("pk", filter=Q(review_state=Photo.ReviewState.ADJUDICATION)),
        oldest=Min("created"),
    )
    if not found["seconds"] + found["adjudications"]:
        return
    level = Level.SOON if timezone.now() - found["oldest"] > SECOND_LONG else Level.GOING_ON
    if found["seconds"]:
        said = ngettext(
            "%(count)d photo waits for a second reading.",
            "%(count)d photos wait for a second reading.",
            found["seconds"],
        )
        yield Notice(level, said % {"count": found["seconds"]}, reverse("review-list"), _("Worklist"))
    if found["adjudications"]:
        said = ngettext(
            "%(count)d photo waits for adjudication by a third reader.",
            "%(count)d photos wait for adjudication by a third reader.",
            found["adjudications"],
        )
        yield Notice(level, said % {"count": found["adjudications"]}, reverse("review-list"), _("Worklist"))
