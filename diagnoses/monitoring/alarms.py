"""Watches the predictions of the live classifier and raises an alarm if its output is degenerate."""

import logging
from typing import Final

from django.db import transaction
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.answers import picture_answers, sealed_references
from diagnoses.monitoring.models import ClassifierAlarm
from recognition.inference.degenerate_output import DegenerateOutput, find_degenerate_output

logger = logging.getLogger(__name__)

RECENT: Final = 50
"""The number of newest answers of a kind of picture that are checked: one or two days of a small practice."""

LOOKED_THROUGH: Final = 20 * RECENT
"""The number of newest assessments that are searched for that many different pictures."""


def watch_live_classifier() -> ClassifierAlarm | None:
    """Check the recent answers of the live classifier, those to each kind of picture apart. Returns the active alarm.

    An alarm is raised and logged as an error once per onset, and cleared when the output is normal again. An alarm
    about a classifier that is no longer live is cleared too.
    """
    live = Classifier.objects.live()
    replaced = ClassifierAlarm.objects.filter(cleared__isnull=True)
    replaced.exclude(classifier=live).update(cleared=timezone.now())
    if live is None:
        return None
    image_type, finding = _find(live)
    with transaction.atomic():
        # One check at a time: two workers must not both raise the alarm.
        Classifier.objects.select_for_update(no_key=True).get(pk=live.pk)
        ringing = ClassifierAlarm.objects.filter(classifier=live, cleared__isnull=True).first()
        rings_for = None if ringing is None else (ringing.code, ringing.detail.get("image_type"))
        if ringing is not None and (finding is None or rings_for != (finding.code, image_type)):
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
                "image_type": image_type,
            },
        )
    logger.error(
        "Classifier %s on %s pictures: %s (%.4g, limit %.4g, over %d pictures). Roll back: docs/operations.md, Alarms.",
        live,
        image_type,
        "its answers barely vary" if finding.code == "constant" else f"nearly all answers are {finding.diagnosis}",
        finding.measured,
        finding.limit,
        finding.predictions,
    )
    return alarm


def _find(live: Classifier) -> tuple[str, DegenerateOutput | None]:
    """The first kind of picture with degenerate output, and what is wrong; ("", None) if there is none."""
    references = sealed_references(live)
    for image_type, answers in picture_answers(live, most=RECENT, looked_through=LOOKED_THROUGH).items():
        finding = find_degenerate_output(answers.tolist(), references.get(image_type, {}))
        if finding is not None:
            return image_type, finding
    return "", None
