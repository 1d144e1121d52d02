"""Writes findings of clinicians and pathologists, and closes the review."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, Notification, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo, PhotoAssessment
from diagnoses.photos.notifications import tell_owner
from diagnoses.readings.models import Finding, Reading
from recognition.taxonomy import CODES


def record_finding(*, photo: Photo, by: User, diagnosis: str, source: str, note: str = "") -> Finding:
    """Add a clinician's or pathologist's diagnosis to a photo. The newest histopathology becomes ground truth.

    Closes the review, even if it waits for a reader, and notifies the patient. Raises NotAllowed unless `by` is an
    active clinician or administrator, ValueError for an unknown diagnosis or source, Photo.DoesNotExist if the photo
    was deleted.
    """
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians record findings.")
    if diagnosis not in CODES:
        raise ValueError(f"{diagnosis!r} is not one of {', '.join(CODES)}.")
    if source not in Finding.Source.values:
        raise ValueError(f"{source!r} is not a source of findings.")
    with transaction.atomic():
        rows = Photo.objects.select_for_update(of=("self",), no_key=True).select_related("owner", "lesion")
        locked = rows.get(pk=photo.pk)
        finding = append_finding(
            photo=locked, by=by, diagnosis=diagnosis, source=source, note=note, assessment=locked.assessment
        )
        close_review(locked)
        of_tissue = source == Finding.Source.HISTOPATHOLOGY
        kind = Notification.Kind.HISTOPATHOLOGY if of_tissue else Notification.Kind.REVIEW
        tell_owner(locked, kind=kind, key=f"finding:{finding.pk}")
    photo.review_state, photo.review_closed = locked.review_state, locked.review_closed
    return finding


def append_finding(
    *,
    photo: Photo,
    by: User,
    diagnosis: str,
    source: str,
    note: str = "",
    assessment: PhotoAssessment | None,
    reading: Reading | None = None,
) -> Finding:
    """Save the row and its audit entry, inside a transaction. Does not notify and does not check."""
    finding = Finding.objects.create(
        photo=photo,
        assessment=assessment,
        reading=reading,
        diagnosis=diagnosis,
        source=source,
        note=note,
        recorded_by=by,
    )
    audit.record(
        actor=by,
        action=AuditEntry.Action.FINDING_RECORDED,
        subject=f"photo:{photo.pk}",
        diagnosis=diagnosis,
        source=str(source),
    )
    return finding


def close_review(photo: Photo) -> None:
    """Close the review. Inside a transaction that has locked the photo."""
    if photo.review_state != Photo.ReviewState.READ or photo.review_closed is None:
        photo.review_state, photo.review_closed = Photo.ReviewState.READ, timezone.now()
        photo.save(update_fields=["review_state", "review_closed"])
