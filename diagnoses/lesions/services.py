"""Writes to lesions: create, change, assign photos, delete."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from accounts.services.notifications import forget
from diagnoses.lesions.bodymap import BY_KEY, region_at
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.photos.models import Photo
from diagnoses.photos.services import PICTURE_LOOK, delete_photo

MAX_LESIONS = 500
"""The largest number of spots of one person: more than in follow-up studies, few enough for one page."""


@dataclass(frozen=True)
class BodyPlace:
    """A point on a drawing of the body map: "front" or "back", and shares of its width and height, 0 to 1."""

    view: str
    x: float
    y: float

    @classmethod
    def of_region(cls, key: str) -> "BodyPlace":
        """The centre of a region (`diagnoses.lesions.bodymap`). Raises KeyError for an unknown region."""
        region = BY_KEY[key]
        return cls(region.view, *region.share)

    @property
    def site(self) -> str:
        """The ISIC site of the place; "" outside the body."""
        region = region_at(self.view, self.x, self.y)
        return region.site if region is not None else ""


@transaction.atomic
def create_lesion(
    *, owner: User, name: str, anatom_site_general: str = "", place: BodyPlace | None = None, fresh: bool = False
) -> Lesion:
    """Create a spot of `owner`, or return the one that already has this name (ignoring case).

    `place` puts it on the body map and, without a `site`, also sets the site. With `fresh` a new spot is always
    created; if the name is taken, it gets the next free number ("back 2"). Raises ValidationError for an empty or too
    long name, an unknown site or place, or too many spots, NotAllowed if the account is switched off.
    """
    if not owner.is_active:
        raise NotAllowed("This account is switched off.")
    name = _tidy(name)
    # The row lock: two simultaneous uploads with the same new name get the same lesion.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    if fresh:
        name = _free_name(owner, name)
    else:
        existing = Lesion.objects.filter(owner=owner, name__iexact=name).first()
        if existing is not None:
            return existing
    if Lesion.objects.filter(owner=owner).count() >= MAX_LESIONS:
        raise ValidationError(
            _("You have %(count)d spots already, which is as many as fit. Delete those you no longer follow.")
            % {"count": MAX_LESIONS}
        )
    lesion = Lesion(owner=owner, name=name)
    _put(lesion, anatom_site_general, place)
    lesion.full_clean()
    lesion.save(force_insert=True)
    return lesion


@transaction.atomic
def change_lesion(
    *, lesion: Lesion, by: User, name: str, anatom_site_general: str = "", place: BodyPlace | None = None
) -> Lesion:
    """Replace name, site and place of a spot.

    Raises NotAllowed unless `by` is the owner, ValidationError as `create_lesion` does, and for the name of another
    spot of the owner.
    """
    _owner_only(lesion, by)
    User.objects.select_for_update(no_key=True).get(pk=lesion.owner_id)
    name = _tidy(name)
    if Lesion.objects.filter(owner=lesion.owner_id, name__iexact=name).exclude(pk=lesion.pk).exists():
        raise ValidationError({"name": _("Another of your spots has this name.")})
    changed = Lesion.objects.select_for_update().get(pk=lesion.pk)
    changed.name = name
    _put(changed, anatom_site_general, place)
    changed.full_clean()
    changed.save(update_fields=["name", "anatom_site_general", "body_view", "body_x", "body_y"])
    return changed


def move_photos(*, photo_ids: Collection[UUID], lesion: Lesion | None, by: User) -> int:
    """Move photos of `by` to one of their spots, or (None) out of any spot. Returns how many photos changed.

    Photos of other people are ignored; a lesion of another person raises NotAllowed. A moved photo ends older
    reminders of the spot, as a new photo does.
    """
    if lesion is not None:
        _owner_only(lesion, by)
    with transaction.atomic():
        photos = Photo.objects.select_for_update().filter(owner=by, pk__in=photo_ids)
        moved = [photo for photo in photos if photo.lesion_id != (lesion.pk if lesion is not None else None)]
        Photo.objects.filter(pk__in=[photo.pk for photo in moved]).update(lesion=lesion)
        if lesion is not None and moved:
            Reminder.objects.end_by_photo(lesion, max(photo.created for photo in moved))
    return len(moved)


def delete_lesion(*, lesion: Lesion, by: User) -> int:
    """Delete a spot permanently, with its photos, results and files. Returns the number of deleted photos.

    Only the owner may (NotAllowed).
    """
    _owner_only(lesion, by)
    with transaction.atomic():
        locked = Lesion.objects.select_for_update().filter(pk=lesion.pk).first()
        if locked is None:
            return 0
        photos = list(locked.photos.all())
        for photo in photos:
            delete_photo(photo=photo, by=by)
        audit.record(
            actor=by, action=AuditEntry.Action.LESION_DELETED, subject=f"lesion:{locked.pk}", photos=len(photos)
        )
        forget(f"lesion:{locked.pk}")
        locked.delete()
    return len(photos)


def view_lesion(*, lesion: Lesion, by: User) -> None:
    """Audit that somebody other than the owner viewed a spot and its photos, at most once an hour.

    Raises NotAllowed if they may not view it.
    """
    if lesion.owner_id == by.pk:
        return
    if not by.sees_all_patients:
        raise NotAllowed("This spot belongs to somebody else.")
    subject, action = f"lesion:{lesion.pk}", AuditEntry.Action.PHOTO_VIEWED
    lately = AuditEntry.objects.filter(
        subject=subject, created__gte=timezone.now() - PICTURE_LOOK, actor=str(by.pk), action=action
    )
    if not lately.exists():
        audit.record(actor=by, action=action, subject=subject)


def _owner_only(lesion: Lesion, by: User) -> None:
    if lesion.owner_id != by.pk or not by.is_active:
        raise NotAllowed("This spot belongs to somebody else.")


def _tidy(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": _("Give the spot a name, such as “left shoulder”.")})
    return name


def _free_name(owner: User, name: str) -> str:
    """The name, or the name with the first free number from 2."""
    taken = set(
        Lesion.objects.filter(owner=owner, name__istartswith=name)
        .annotate(folded=Lower("name"))
        .values_list("folded", flat=True)
    )
    number, candidate = 1, name
    while candidate.lower() in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def _put(lesion: Lesion, site: str, place: BodyPlace | None) -> None:
    lesion.anatom_site_general = site or (place.site if place is not None else "")
    lesion.body_view = place.view if place is not None else ""
    lesion.body_x = place.x if place is not None else None
    lesion.body_y = place.y if place is not None else None
