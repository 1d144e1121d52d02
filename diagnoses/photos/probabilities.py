"""The eight probabilities of an assessment, prepared for drawing."""

from dataclasses import dataclass

from django.utils.functional import Promise

from diagnoses.labels import DIAGNOSIS_NAMES
from diagnoses.photos.models import PhotoAssessment
from recognition.taxonomy import CODES, Diagnosis


@dataclass(frozen=True)
class ProbabilityBar:
    """One of the eight probabilities, prepared for drawing."""

    code: str
    name: str | Promise
    probability: float
    cancer: bool
    top: bool


def bars(assessment: PhotoAssessment) -> tuple[ProbabilityBar, ...]:
    """All eight, the most probable first; equal ones in ISIC order."""
    ranked = sorted(zip(CODES, assessment.probabilities, strict=True), key=lambda pair: -pair[1])
    return tuple(
        ProbabilityBar(
            code, DIAGNOSIS_NAMES[code], probability, Diagnosis(code).malignant, code == assessment.diagnosis
        )
        for code, probability in ranked
    )
