"""Assessments of photos that a test needs in a certain state."""

import uuid
from typing import Any

from django.utils import timezone

from diagnoses.photos.models import Photo, PhotoAssessment


def retell(photo: Photo, **values: Any) -> PhotoAssessment:
    """Another assessment of the photo, which becomes the current one: the same but for these values."""
    assessment = photo.assessment
    assert assessment is not None
    assessment.pk, assessment._state.adding = uuid.uuid4(), True
    for name, value in {"created": timezone.now(), "picture_decision": assessment.decision, **values}.items():
        setattr(assessment, name, value)
    assessment.save(force_insert=True)
    Photo.objects.filter(pk=photo.pk).update(
        assessment=assessment, decision=assessment.decision, confidence=assessment.confidence
    )
    return assessment
