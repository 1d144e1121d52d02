"""Writes to profiles: a user's answers about themselves, used for all later photos."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Profile, User
from accounts.permissions import NotAllowed

ANSWERS = (
    "year_of_birth", "sex", "fitzpatrick_skin_type", "personal_hx_mm", "personal_hx_skin_cancer", "family_hx_mm",
    "immunosuppressed", "note",
)  # fmt: skip
"""The answers of a profile, by column name."""


@transaction.atomic
def save_profile(*, user: User, by: User, answers: Mapping[str, Any], name: str | None = None) -> Profile:
    """Save answers of `user` about themselves. Missing answers and a missing `name` are not changed.

    Raises NotAllowed unless `by` is the user, ValidationError (by field) for an invalid answer, KeyError for an unknown
    question.
    """
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone says this.")
    if unknown := set(answers) - set(ANSWERS):
        raise KeyError(", ".join(sorted(unknown)))
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    profile = Profile.objects.filter(user=user).first() or Profile(user=user)
    for question, answer in answers.items():
        setattr(profile, question, answer)
    profile.full_clean(exclude=["user"])
    if profile.year_of_birth is not None and profile.year_of_birth > timezone.localdate().year:
        raise ValidationError({"year_of_birth": gettext("This year has not come yet.")})
    profile.save()
    if name is not None and name != user.name:
        user.name = name
        user.full_clean(exclude=[field.name for field in User._meta.fields if field.name != "name"])
        user.save(update_fields=["name"])
    return profile
