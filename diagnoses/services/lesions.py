"""Writes to lesions."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from diagnoses.models import Lesion


@transaction.atomic
def create_lesion(*, owner: User, name: str, anatom_site_general: str = "") -> Lesion:
    """A new spot of `owner` to follow over time, or the one they already gave this name (whatever its case).

    Raises ValidationError for an empty or over-long name or an unknown site, PermissionError when the account is
    switched off.
    """
    if not owner.is_active:
        raise PermissionError("This account is switched off.")
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": _("Give the spot a name, such as “left shoulder”.")})
    # The row lock makes two uploads with one new name at the same moment find the same lesion.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    existing = Lesion.objects.filter(owner=owner, name__iexact=name).first()
    if existing is not None:
        return existing
    lesion = Lesion(owner=owner, name=name, anatom_site_general=anatom_site_general)
    lesion.full_clean()
    lesion.save(force_insert=True)
    return lesion
