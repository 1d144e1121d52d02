"""Writes to share links: create, revoke, open.

The token has 256 random bits and is shown once. The database stores only its SHA-256, so neither a dump nor an
administrator can open a link. A token cannot be guessed, and the views limit failed attempts.
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
"""The allowed numbers of days."""

MAX_OPEN: Final = 10
"""The largest number of open links of one photo."""

TOKEN_BYTES: Final = 32

SAME_OPENING: Final = timedelta(hours=1)
"""Requests within this time count as one view, as with photos."""


def make_share_link(*, photo: Photo, by: User, days: int, label: str = "") -> tuple[ShareLink, str]:
    """Create a link to the result of `photo` that is open for `days`. `label` is the owner's note for whom it is.

    Returns the link and its token, which is not available later. Raises NotAllowed unless `by` is the owner, ValueError
    for another number of days, ValidationError if the label is too long or `MAX_OPEN` links are open.
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
        # The row lock makes simultaneous requests count one after the other.
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
    """Revoke a link before it expires. Returns False if it is revoked already. Raises NotAllowed for non-owners."""
    _require_owner(link.photo, by)
    with transaction.atomic():
        closed = ShareLink.objects.open().filter(pk=link.pk).update(revoked=timezone.now())
        if closed:
            audit.record(actor=by, action=AuditEntry.Action.SHARE_LINK_REVOKED, subject=f"photo:{link.photo_id}")
    return bool(closed)


def open_shared(token: str, *, counts: bool = True) -> ShareLink | None:
    """The link of a token, with its photo and related rows. None if the token is unknown, expired or revoked, or the
    owner's account is switched off.

    The first view in an hour is audited, without an actor, because the visitor is unknown. `counts=False` is for parts
    of the page, such as its picture.
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
        # A conditional update, so that only one of two simultaneous views is audited.
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
