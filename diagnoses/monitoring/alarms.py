"""Watches the predictions of the live classifier and raises an alarm if its output is degenerate."""

import logging
from typing import Final

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.models import ClassifierAlarm
from diagnoses.photos.models import Prediction
from recognition.inference.bundle import image_type_blocks
from recognition.inference.degenerate_output import find_degenerate_output
from recognition.taxonomy import DERMOSCOPIC

logger = logging.getLogger(__name__)

RECENT: Final = 50
"""The number of newest predictions that are checked: one or two days of a small practice."""

LOOKED_THROUGH: Final = 10 * RECENT
"""The number of newest predictions that are searched for that many different pictures."""


def recent_answers(classifier: Classifier) -> list[list[float]]:
    """The newest probabilities of `classifier`, one for each different picture, at most `RECENT`.

    By the picture alone: what people tell would hide a network that always answers the same. Refused pictures are
    included: a broken network makes every picture out of distribution.
    """
    rows = (
        Prediction.objects.filter(classifier=classifier, assessments__isnull=False)
        .order_by("-created")
        .annotate(answer=Coalesce("assessments__picture_alone", "assessments__probabilities"))
    )
    answers: dict[str, list[float]] = {}
    for sha256, probabilities in rows.values_list("photo__original_sha256", "answer")[:LOOKED_THROUGH]:
        answers.setdefault(sha256, probabilities)
        if len(answers) == RECENT:
            break
    return list(answers.values())


def watch_live_classifier() -> ClassifierAlarm | None:
    """Check the recent predictions of the live classifier. Returns the active alarm, or None.

    An alarm is raised and logged as an error once per onset, and cleared when the output is normal again. An alarm
    about a classifier that is no longer live is cleared too.
    """
    live = Classifier.objects.live()
    replaced = ClassifierAlarm.objects.filter(cleared__isnull=True)
    replaced.exclude(classifier=live).update(cleared=timezone.now())
    if live is None:
        return None
    assessment = image_type_blocks(live.manifest)[DERMOSCOPIC].get("assessment") or {}
    finding = find_degenerate_output(recent_answers(live), assessment.get("live") or {})
    with transaction.atomic():
        # One check at a time: two workers must not both raise the alarm.
        Classifier.objects.select_for_update(no_key=True).get(pk=live.pk)
        ringing = ClassifierAlarm.objects.filter(classifier=live, cleared__isnull=True).first()
        if ringing is not None and (finding is None or finding.code != ringing.code):
            ringing.cleared = timezone.now()
            ringing.save(update_fields=["cleared"])
            logger.warning("The alarm about classifier %s (%s) is over.", live, ringing.code)
            ringing = None
        if finding is None or ringing is not None:
            return ringing
        alarm = ClassifierAlarm.objects.create(
            classifier=live,
            code=finding.code,
            detail={
                "measured": finding.measured,
                "limit": finding.limit,
                "predictions": finding.predictions,
                "diagnosis": finding.diagnosis,
            },
        )
    logger.error(
        "Classifier %s: %s (%.4g, limit %.4g, over %d pictures). Roll back: docs/operations.md, Alarms.",
        live,
        "its answers barely vary" if finding.code == "constant" else f"nearly all answers are {finding.diagnosis}",
        finding.measured,
        finding.limit,
        finding.predictions,
    )
    return alarm
