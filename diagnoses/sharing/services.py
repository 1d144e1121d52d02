"""Writes to share links: an address by which somebody without an account reads one result for some days.

The address holds 256 random bits and is shown once; the database keeps its SHA-256 alone, so that neither a dump nor an
administrator opens anything. Nobody guesses one, and the views count who tries.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import ngettext

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo
from diagnoses.sharing.models import ShareLink

DAYS: Final = (1, 7, 30)
"""How long an address may open a result: an appointment, a week, a month."""

MAX_OPEN: Final = 10
"""Addresses of one photo that open it at a time; more would be a mistake, or a program."""

TOKEN_BYTES: Final = 32

SAME_OPENING: Final = timedelta(hours=1)
"""Opened again within this time is the same look, as with photos."""


def make_share_link(*, photo: Photo, by: User, days: int, label: str = "") -> tuple[ShareLink, str]:
    """A new address for the result of `photo` that opens it for `days`; `label` says for whom, in the owner's words.

    Returns the link and its token, which cannot be had a second time. Raises NotAllowed for anybody but the owner,
    ValueError for another number of days, ValidationError for a label that is too long and where `MAX_OPEN` are open.
    """
    _require_owner(photo, by)
    if days not in DAYS:
        raise ValueError(f"A link opens for {DAYS} days, not for {days}.")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = timezone.now()
    link = ShareLink(
        photo=photo,
        token_sha256=_digest(token),
        made_by=by,
        label=" ".join(label.split()),
        created=now,
        expires=now + timedelta(days=days),
    )
    link.full_clean(exclude=["photo", "made_by"])
    with transaction.atomic():
        # The row lock makes two requests at one moment count one after the other.
        Photo.objects.select_for_update(no_key=True).get(pk=photo.pk)
        if ShareLink.objects.open().filter(photo=photo).count() >= MAX_OPEN:
            raise ValidationError(
                ngettext(
                    "There is %(count)d open link already. Close it before you make another one.",
                    "There are %(count)d open links already. Close one before you make another one.",
                    MAX_OPEN,
                )
                % {"count": MAX_OPEN}
            )
        link.save(force_insert=True)
        audit.record(actor=by, action=AuditEntry.Action.SHARE_LINK_MADE, subject=f"photo:{photo.pk}", days=days)
    return link, token


def revoke_share_link(*, link: ShareLink, by: User) -> bool:
    """Close an address before its time. False where it is closed already. Raises NotAllowed for non-owners."""
    _require_owner(link.photo, by)
    with transaction.atomic():
        closed = ShareLink.objects.open().filter(pk=link.pk).update(revoked=timezone.now())
        if closed:
            audit.record(actor=by, action=AuditEntry.Action.SHARE_LINK_REVOKED, subject=f"photo:{link.photo_id}")
    return bool(closed)


def open_shared(token: str, *, counts: bool = True) -> ShareLink | None:
    """The link a token opens, with its photo ready to be shown; None for one unknown, expired, revoked or of an account
    that is switched off.

    The first look in an hour is audited, without an actor: nobody knows who holds an address. `counts=False` is for
    the pieces of a page, such as its picture.
    """
    link = (
        ShareLink.objects.open()
        .filter(token_sha256=_digest(token), made_by__is_active=True)
        .select_related("made_by")
        .first()
    )
    if link is None:
        return None
    photo = Photo.objects.for_display().filter(pk=link.photo_id, owner=link.made_by_id).first()
    if photo is None:
        return None
    link.photo = photo
    now = timezone.now()
    rows = ShareLink.objects.filter(pk=link.pk)
    with transaction.atomic():
        # Guarded, so that of two looks at one moment one is the first.
        first = rows.exclude(last_opened__gt=now - SAME_OPENING).update(last_opened=now)
        if counts:
            rows.update(times_opened=F("times_opened") + 1)
        if first:
            audit.record(
                actor=None,
                action=AuditEntry.Action.SHARE_LINK_OPENED,
                subject=f"photo:{photo.pk}",
                link=str(link.pk),
            )
    return link


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _require_owner(photo: Photo, by: User) -> None:
    if photo.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the person whose photo it is shares it.")
