"""The worklist as a CSV file in ISIC metadata terms, and the audit entry of each export."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from accounts import audit, csv_rows
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo, PhotoQuerySet
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.outcome import outcome_of
from recognition.taxonomy import CODES

CHUNK: Final = 500
"""Rows loaded at a time; some hundreds of kilobytes."""

COLUMNS: Final = (
    "image", "patient_id", "lesion_id", "lesion_name", "acquired", "age_approx", "sex", "anatom_site_general",
    "image_type", "seven_point_score", "status", *CODES, "diagnosis", "confidence", "malignant_score", "decision",
    "score", "classifier", "review_state", "second_reason", "review_requested", "review_closed", "readings",
    "final_answer", "final_diagnosis", "management", "monitor_months", "clinician_diagnosis", "histopathology",
)  # fmt: skip
PATIENT_COLUMNS: Final = ("patient_name", "patient_email")
"""Columns with personal data; only included on request."""


def for_export(photos: PhotoQuerySet) -> PhotoQuerySet:
    """The photos with all related rows of the file."""
    return (
        photos.select_related("owner", "lesion", "history", "assessment__prediction__classifier")
        .prefetch_related("findings", "readings")
        .defer("content_hash", "assessment__prediction__classifier__manifest", "assessment__assessment")
    )


def csv_lines(photos: PhotoQuerySet, *, with_patient: bool = False) -> Iterator[str]:
    """The file line by line, with the byte order mark. Memory does not grow with the number of photos."""
    header = [*COLUMNS, *(PATIENT_COLUMNS if with_patient else ())]
    return csv_rows.csv_lines(header, _rows(photos, with_patient=with_patient))


def _rows(photos: PhotoQuerySet, *, with_patient: bool) -> Iterator[list[str]]:
    for photo in for_export(photos).iterator(chunk_size=CHUNK):
        cells = _cells(photo)
        yield [*cells, photo.owner.name, photo.owner.email] if with_patient else cells


def _cells(photo: Photo) -> list[str]:
    assessment = photo.assessment
    outcome = outcome_of(photo)
    history = photo.history
    findings = list(photo.findings.all())
    recorded: list[Reading] = [reading for reading in photo.readings.all() if reading.recorded is not None]
    return [
        str(photo.pk),
        str(photo.owner_id),
        str(photo.lesion_id or ""),
        photo.lesion.name if photo.lesion is not None else "",
        _moment(photo.created),
        _number(photo.age_approx),
        photo.sex,
        photo.anatom_site_general,
        photo.image_type,
        _number(history.checklist_score if history is not None else None),
        photo.status,
        *([""] * len(CODES) if assessment is None else [_share(each) for each in assessment.probabilities]),
        photo.diagnosis,
        _share(photo.confidence),
        _share(photo.malignant_score),
        photo.decision,
        _number(assessment.score if assessment is not None else None),
        assessment.prediction.classifier.version if assessment is not None else "",
        photo.review_state,
        photo.second_reason,
        _moment(photo.review_requested),
        _moment(photo.review_closed),
        str(len(recorded)),
        outcome.answer if outcome is not None else "",
        outcome.diagnosis if outcome is not None else "",
        outcome.management if outcome is not None else "",
        _number(outcome.monitor_months if outcome is not None else None),
        _newest(findings, Finding.Source.CLINICIAN),
        _newest(findings, Finding.Source.HISTOPATHOLOGY),
    ]


def _newest(findings: Iterable[Finding], source: str) -> str:
    """The newest diagnosis of this source. Findings are sorted newest first."""
    return next((finding.diagnosis for finding in findings if finding.source == source), "")


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else ""


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.6f}"


def record_export(*, by: User, rows: int, with_patient: bool) -> None:
    """Audit that `by` downloads a list of `rows` photos, with or without names and addresses of the patients.

    Raises NotAllowed unless `by` is a clinician or an administrator.
    """
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians and administrators export lists.")
    audit.record(
        actor=by, action=AuditEntry.Action.LIST_EXPORTED, subject="list:photos", rows=rows, with_patient=with_patient
    )
