"""The access log of a user, from the audit log: when somebody else viewed which photo, and their role. No names."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from accounts.models import AuditEntry, User
from diagnoses.lesions.models import Lesion
from diagnoses.photos.models import Photo

SHARED: Final = "shared"
"""The role of anonymous visitors who used a share link."""


@dataclass(frozen=True)
class AccessEntry:
    """One access by somebody else. `role` is a `Role`, "shared", or "" if the account was erased."""

    when: datetime
    role: str
    photo_id: UUID | None
    lesion_id: UUID | None


def accesses_of(user: User, *, limit: int | None = None) -> Iterator[AccessEntry]:
    """Accesses by others to the existing photos and spots of `user`, newest first. Always four queries."""
    # A list, because with a subquery the database would scan the whole log and not use its index by subject.
    subjects = [f"photo:{pk}" for pk in Photo.objects.filter(owner=user).order_by().values_list("pk", flat=True)]
    subjects += [f"lesion:{pk}" for pk in Lesion.objects.filter(owner=user).order_by().values_list("pk", flat=True)]
    entries = AuditEntry.objects.filter(
        subject__in=subjects,
        action__in=[AuditEntry.Action.PHOTO_VIEWED, AuditEntry.Action.SHARE_LINK_OPENED],
    ).exclude(actor=str(user.pk))
    rows = list(entries.order_by("-created", "-pk").values_list("created", "action", "actor", "subject")[:limit])
    actors = {int(actor) for _created, _action, actor, _subject in rows if actor.isdecimal()}
    roles = {str(pk): role for pk, role in User.objects.filter(pk__in=actors).values_list("pk", "role")}
    for created, action, actor, subject in rows:
        kind, _colon, key = subject.partition(":")
        yield AccessEntry(
            when=created,
            role=SHARED if action == AuditEntry.Action.SHARE_LINK_OPENED else roles.get(actor, ""),
            photo_id=UUID(key) if kind == "photo" else None,
            lesion_id=UUID(key) if kind == "lesion" else None,
        )
