"""What templates print of the clinicians' verdict."""

from django import template

from diagnoses.photos.models import Photo
from diagnoses.results import clinical_outcome as verdicts

register = template.Library()


@register.filter
def answer_words(answer: str) -> str:
    """What a clinician said who named no diagnosis; empty for one who did."""
    return verdicts.answer_words(answer)


@register.filter
def management_words(verdict: verdicts.Verdict) -> str:
    """What is to be done, in one sentence."""
    return verdicts.management_words(verdict)


@register.filter
def to_be_examined(photo: Photo) -> bool:
    """Whether a clinician wants to see the spot in person."""
    return verdicts.verdict_on(photo).examine
