"""The periodic sweep: recovers photos whose message or worker was lost (RELIABILITY R1 to R5)."""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.files import finish_erasure
from diagnoses.photos.models import ErasedFile, Photo
from diagnoses.photos.notifications import analysis_failed
from diagnoses.photos.predictions import MAX_ATTEMPTS
from diagnoses.photos.queue import publish_photos, queue_depth
from diagnoses.photos.rejudging import Sweep

logger = logging.getLogger(__name__)

BATCH = 500  # photos handled in one sweep; the next one comes within seconds
PATIENCE = 10.0  # seconds for the broker to accept a batch; no user waits for the sweep


@dataclass(frozen=True)
class SweepReport:
    """The result of one sweep."""

    requeued: int  # photos with an expired lease that were queued again
    given_up: int  # photos with an expired lease after the last attempt
    again: int  # photos queued to be judged again by the live classifier
    published: int  # messages sent again because the broker had none
    erased: int  # files deleted from the storage


_judge_again = Sweep()


def sweep() -> SweepReport:
    """Queue photos with expired leases and those to judge again, send missing messages, delete erased files."""
    requeued, given_up = _take_back_leases()
    again = _judge_again()
    published = _publish_forgotten()
    erased = finish_erasure() if ErasedFile.objects.filter(due__lte=timezone.now()).exists() else 0
    report = SweepReport(requeued=requeued, given_up=given_up, again=again, published=published, erased=erased)
    if any((requeued, given_up, again, published, erased)):
        logger.info("Sweep: %s", report)
    return report


def _take_back_leases() -> tuple[int, int]:
    with transaction.atomic():
        expired = list(Photo.objects.lease_expired().select_for_update(skip_locked=True).order_by("queued")[:BATCH])
        last = [photo.pk for photo in expired if photo.attempts >= MAX_ATTEMPTS]
        again = [photo.pk for photo in expired if photo.attempts < MAX_ATTEMPTS]
        Photo.objects.filter(pk__in=last).update(
            status=Photo.Status.FAILED, failure_code="worker_lost", lease=None, lease_expires=None
        )
        for photo in Photo.objects.filter(pk__in=last).select_related("owner", "lesion"):
            analysis_failed(photo=photo)
        Photo.objects.filter(pk__in=again).update(
            status=Photo.Status.QUEUED, lease=None, lease_expires=None, published=None
        )
    return len(again), len(last)


def _publish_forgotten() -> int:
    """Send messages that were never sent or that the broker has lost."""
    if Classifier.objects.live() is None:
        return 0  # no worker could process them; a sweep follows the promotion of a classifier
    now = timezone.now()
    queued = Photo.objects.filter(status=Photo.Status.QUEUED).order_by("queued")
    photo_ids = list(queued.filter(published__isnull=True).values_list("pk", flat=True)[:BATCH])
    stale = queued.filter(published__lt=now - settings.REPUBLISH_AFTER)
    # Messages are missing only if the broker holds fewer of them than there are waiting rows.
    if stale.exists() and _messages_waiting() < queued.filter(published__isnull=False).count():
        photo_ids += stale.values_list("pk", flat=True)[: BATCH - len(photo_ids)]
    if not photo_ids or not publish_photos(photo_ids, patience=PATIENCE):
        return 0
    return Photo.objects.filter(pk__in=photo_ids, status=Photo.Status.QUEUED).update(published=timezone.now())


def _messages_waiting() -> int:
    try:
        return queue_depth()
    except Exception as error:
        logger.warning("The broker does not answer: %s.", type(error).__name__)
        return 0
