"""The similar confirmed cases on photo pages, for clinicians only."""

from typing import Any

from django import template

from accounts.models import User
from diagnoses.photos.models import Photo
from diagnoses.similar.cases import similar_cases as find

register = template.Library()


@register.inclusion_tag("diagnoses/similar/cases.html", takes_context=True)
def similar_cases(context: dict[str, Any], photo: Photo) -> dict[str, Any]:
    """The nearest confirmed cases of other patients and lesions, if a clinician views an analysed photo.

    Empty for everybody else, also for the owner of the photo.
    """
    user = context.get("user")
    if not isinstance(user, User) or not user.sees_all_patients or photo.status != Photo.Status.PREDICTED:
        return {}
    return {"similar": find(photo=photo, by=user), "photo": photo}
