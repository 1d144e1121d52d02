"""Writes what clinicians find."""

from django.db import transaction

from accounts import audit
from accounts.models import AuditEntry, User
from diagnoses.models import Finding, Photo
from diagnoses.taxonomy import CODES


def record_finding(*, photo: Photo, by: User, diagnosis: str, source: str, note: str = "") -> Finding:
    """Append a clinician's or a pathologist's diagnosis to a photo; the newest histopathology becomes ground truth.

    Raises PermissionError for anybody but active clinicians and administrators, ValueError for an unknown diagnosis
    or source.
    """
    if not by.sees_all_patients:
        raise PermissionError("Only clinicians record findings.")
    if diagnosis not in CODES:
        raise ValueError(f"{diagnosis!r} is not one of {', '.join(CODES)}.")
    if source not in Finding.Source.values:
        raise ValueError(f"{source!r} is not a source of findings.")
    with transaction.atomic():
        finding = Finding.objects.create(
            photo=photo,
            prediction=photo.prediction,
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
            source=source,
        )
    return finding
