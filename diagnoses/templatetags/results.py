"""The classifier's answer, for pages of clinicians."""

from django import template

from diagnoses.photos.models import PhotoAssessment
from diagnoses.results import basis, result

register = template.Library()


@register.simple_tag
def classifier_answer(assessment: PhotoAssessment) -> result.ClassifierAnswer:
    """What the classifier says in this assessment, also of a refused picture: clinicians may see it."""
    return result.answer_of(assessment)


@register.simple_tag
def image_type_basis(assessment: PhotoAssessment) -> basis.ImageTypeBasis | None:
    """The kind as which the picture was assessed."""
    return basis.image_type_basis(assessment)
