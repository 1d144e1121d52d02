"""Judging again: after another classifier went live, photos that nobody need worry about are analysed by it.

Whoever was told "urgent" or "soon" sees a doctor anyway. A photo whose advice is "monitor" or "not assessed" may hold a
cancer that the earlier classifier missed, so the live one judges it too. Nothing is planned or kept: the photos whose
answer is not the live classifier's are the work that is left, so a killed worker or another promotion changes nothing.

New uploads come first: a small batch is queued only while no photo waits.
"""

import time
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Consent, Purpose
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo
from recognition.inference.assessment import Decision

AGAIN: Final = (Decision.MONITOR.value, Decision.NOT_ASSESSED.value)
"""The advice after which a photo is judged again."""

BATCH: Final = 4
"""Photos that a new upload may have to wait for: about two seconds on two cores."""

REST: Final = 60.0
"""Seconds until the next look when nothing was left to judge again: looking reads all photos with this advice."""

LEVELS: Final = {
    Decision.MONITOR.value: 0,
    # Of a photo that was not assessed nobody knows, so it stands above what may wait.
    "": 1,
    Decision.NOT_ASSESSED.value: 1,
    Decision.SOON.value: 2,
    Decision.URGENT.value: 3,
}
"""Advice in rising order."""


def left_to_judge(classifier: Classifier) -> QuerySet[Photo]:
    """Analysed photos whose advice is in `AGAIN` and not from this classifier.

    Not those that a doctor has diagnosed, since that stands above any classifier, nor those of people who withdrew
    their consent or whose account is switched off.
    """
    consents = Consent.objects.filter(user=OuterRef("owner"), text__purpose=Purpose.DIAGNOSIS)
    return Photo.objects.filter(
        Exists(consents.standing()) | ~Exists(consents),
        status=Photo.Status.PREDICTED,
        decision__in=AGAIN,
        owner__is_active=True,
        findings__isnull=True,
    ).exclude(assessment__prediction__classifier=classifier)


def judge_again() -> int:
    """Queue the next batch for the live classifier, the highest malignant score first, while no photo waits.

    Returns how many photos were queued.
    """
    live = Classifier.objects.defer("manifest").live()
    if live is None or live.fault or Photo.objects.waiting().exists():
        return 0
    with transaction.atomic():
        rows = left_to_judge(live).order_by("-malignant_score", "-pk").values_list("pk", flat=True)
        chosen = list(rows.select_for_update(of=("self",), skip_locked=True)[:BATCH])
        return Photo.objects.filter(pk__in=chosen).update(
            status=Photo.Status.QUEUED, attempts=0, queued=timezone.now(), published=None
        )


class Sweep:
    """`judge_again` for the periodic sweep: rests for a while when nothing was left."""

    def __init__(self) -> None:
        self._resting_until = 0.0

    def __call__(self) -> int:
        """Queue the next batch, unless it is resting. Returns how many photos were queued."""
        if time.monotonic() < self._resting_until:
            return 0
        queued = judge_again()
        if not queued and not Photo.objects.waiting().exists():
            self._resting_until = time.monotonic() + REST
        return queued


def rises(before: str, after: str) -> bool:
    """Whether advice rises from one `Decision` ("" for none) to another: then the owner of the photo is told."""
    return LEVELS[after] > LEVELS[before]
