"""Writes of patients who ask a clinician to look at a photo."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.models import Photo


@transaction.atomic
def request_review(*, photo: Photo, by: User) -> bool:
    """Ask clinicians to look at a photo. False where that was asked already or a clinician has read it.

    Raises NotAllowed for anybody but the owner.
    """
    if photo.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the person whose photo it is asks for a review.")
    asked = Photo.objects.filter(
        pk=photo.pk, review_requested__isnull=True, review_state=Photo.ReviewState.UNREAD
    ).update(review_requested=timezone.now())
    if asked:
        audit.record(actor=by, action=AuditEntry.Action.REVIEW_REQUESTED, subject=f"photo:{photo.pk}")
    return bool(asked)
