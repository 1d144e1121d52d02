"""Writes what clinicians and pathologists find, and closes the review it settles."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, Notification, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo, Prediction
from diagnoses.photos.notifications import tell_owner
from diagnoses.readings.models import Finding, Reading
from recognition.taxonomy import CODES


def record_finding(*, photo: Photo, by: User, diagnosis: str, source: str, note: str = "") -> Finding:
    """Append a clinician's or a pathologist's diagnosis to a photo; the newest histopathology becomes ground truth.

    The review is closed by it, whoever it was waiting for, and the patient is told. Raises NotAllowed for anybody
    but active clinicians and administrators, ValueError for an unknown diagnosis or source, Photo.DoesNotExist when the
    photo is gone.
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
            photo=locked, by=by, diagnosis=diagnosis, source=source, note=note, prediction=locked.prediction
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
    prediction: Prediction | None,
    reading: Reading | None = None,
) -> Finding:
    """Inside a transaction: the row and its audit entry. Nobody is told, and nothing is checked."""
    finding = Finding.objects.create(
        photo=photo,
        prediction=prediction,
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
    """Inside a transaction that holds the photo: nobody is waited for any more."""
    if photo.review_state != Photo.ReviewState.READ or photo.review_closed is None:
        photo.review_state, photo.review_closed = Photo.ReviewState.READ, timezone.now()
        photo.save(update_fields=["review_state", "review_closed"])
