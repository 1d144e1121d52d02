"""Template filters of the clinical outcome."""

from django import template

from diagnoses.photos.models import Photo
from diagnoses.results import clinical_outcome

register = template.Library()


@register.filter
def answer_words(answer: str) -> str:
    """The text of an answer without a diagnosis; empty for answers with one."""
    return clinical_outcome.answer_words(answer)


@register.filter
def management_words(outcome: clinical_outcome.ClinicalOutcome) -> str:
    """The management in one sentence."""
    return clinical_outcome.management_words(outcome)


@register.filter
def to_be_examined(photo: Photo) -> bool:
    """Whether a clinician wants to examine the spot in person."""
    return clinical_outcome.clinical_outcome_of(photo).examine
