"""Notices about the queue: waiting photos, inference workers, failed analyses."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count, Min
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnoses.monitoring.notices.registry import Level, Notice, length_of
from diagnoses.photos.models import Photo, Worker
from diagnoses.photos.queue import queue_depth

logger = logging.getLogger(__name__)

LONG_WAIT: Final = timedelta(minutes=5)
"""A prediction takes less than a second. A photo that waits this long needs somebody to check."""

LATELY: Final = timedelta(hours=24)
"""Older failures are not reported."""


def workers() -> Iterator[Notice]:
    """Whether inference workers sent a heartbeat."""
    path = reverse("admin:diagnoses_worker_changelist")
    running = Worker.objects.heard_from_lately().count()
    if running:
        said = ngettext("%(count)d inference worker is running.", "%(count)d inference workers are running.", running)
        yield Notice(Level.WELL, said % {"count": running}, path, _("Workers"))
        return
    heard = Worker.objects.last_heard()
    if heard is None:
        said = _("No inference worker has ever been heard from: photos are accepted and wait.")
    else:
        said = _("No inference worker has been heard from for %(time)s: photos are accepted and wait.") % {
            "time": length_of(timezone.now() - heard)
        }
    yield Notice(Level.NOW, said, path, _("Workers"))


def queue() -> Iterator[Notice]:
    """The number of waiting photos, the oldest of them, and whether the broker answers."""
    path = f"{reverse('admin:diagnoses_photo_changelist')}?status__exact=queued"
    try:
        depth = queue_depth()
    except Exception as error:  # the broker's client raises many types
        logger.warning("The broker does not answer: %s.", type(error).__name__)
        yield Notice(Level.NOW, _("The broker (Redis) does not answer: new photos are accepted and wait."))
        depth = None
    waiting = Photo.objects.waiting().aggregate(count=Count("pk"), oldest=Min("queued"))
    if not waiting["count"]:
        yield Notice(Level.WELL, _("No photo waits for its analysis."))
        return
    age = timezone.now() - waiting["oldest"]
    if depth is None:
        said = ngettext(
            "%(count)d photo has been waiting for its analysis for %(time)s.",
            "%(count)d photos wait for their analysis, the oldest for %(time)s.",
            waiting["count"],
        )
    else:
        said = ngettext(
            "%(count)d photo has been waiting for its analysis for %(time)s. Messages in the queue: %(depth)d.",
            "%(count)d photos wait for their analysis, the oldest for %(time)s. Messages in the queue: %(depth)d.",
            waiting["count"],
        )
    yield Notice(
        Level.SOON if age > LONG_WAIT else Level.GOING_ON,
        said % {"count": waiting["count"], "time": length_of(age), "depth": depth},
        path,
        _("Waiting photos"),
    )


def failures() -> Iterator[Notice]:
    """Photos whose analysis failed and was not repeated."""
    failed = Photo.objects.filter(status=Photo.Status.FAILED, queued__gte=timezone.now() - LATELY).count()
    if not failed:
        yield Notice(Level.WELL, _("No analysis failed within the last 24 hours."))
        return
    said = ngettext(
        "The analysis of %(count)d photo failed within the last 24 hours.",
        "The analysis of %(count)d photos failed within the last 24 hours.",
        failed,
    )
    path = f"{reverse('admin:diagnoses_photo_changelist')}?status__exact=failed"
    yield Notice(Level.SOON, said % {"count": failed}, path, _("Failed photos"))
