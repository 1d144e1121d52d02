"""The outcome of the readings of one photo: the settling reading and the management for the patient."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from diagnoses.photos.models import Photo
from diagnoses.readings.models import Finding, Reading

CAUTION: Final = (
    Reading.Management.BIOPSY.value,
    Reading.Management.REFER.value,
    Reading.Management.MONITOR.value,
    Reading.Management.DISCHARGE.value,
)
"""Sorted by caution. If two readers agree on the diagnosis, the more careful management applies."""

IN_PERSON: Final = frozenset({Reading.Management.BIOPSY.value, Reading.Management.REFER.value})
"""Managements that need an examination in person."""


@dataclass(frozen=True)
class Outcome:
    """The result of the readings for the patient. `answer` and `management` are values of `Reading`, or ""."""

    reading: Reading
    answer: str
    diagnosis: str
    management: str
    monitor_months: int | None
    notes: tuple[str, ...]
    recorded: datetime

    @property
    def management_words(self) -> str:
        """The label of the management in the active language; "" if there is none."""
        return str(Reading.Management(self.management).label) if self.management else ""


def settling_reading(photo: Photo) -> Reading | None:
    """The reading that settled a photo: the adjudication, the second that agrees with the first, or the only one.

    None while the photo waits for a reader, and if a finding without a reading settled it. Uses `photo.readings` and
    `photo.findings`, which lists prefetch.
    """
    if photo.review_state != Photo.ReviewState.READ:
        return None
    reading = _last_word(photo)
    return reading if reading is not None and _stands(photo, reading) else None


def _last_word(photo: Photo) -> Reading | None:
    by_role = {reading.role: reading for reading in photo.readings.all() if reading.recorded is not None}
    adjudication = by_role.get(Reading.Role.ADJUDICATION)
    if adjudication is not None:
        return adjudication
    first, second = by_role.get(Reading.Role.FIRST), by_role.get(Reading.Role.SECOND)
    if first is None or second is None:
        return first or second
    return second if (first.answer, first.diagnosis) == (second.answer, second.diagnosis) else None


def _stands(photo: Photo, reading: Reading) -> bool:
    """Whether a reading closed the review, and no clinician recorded a finding directly since then."""
    findings = photo.findings.all()
    if any(
        finding.reading_id is None
        and finding.source == Finding.Source.CLINICIAN
        and reading.recorded is not None
        and finding.created > reading.recorded
        for finding in findings
    ):
        return False
    named = reading.answer == Reading.Answer.DIAGNOSIS
    return not named or any(finding.reading_id == reading.pk for finding in findings)


def outcome_of(photo: Photo) -> Outcome | None:
    """The outcome of the readings of a photo, or None if no reading settled it (see `settling_reading`).

    If two readers agree on the diagnosis, the more careful management applies, with the notes of both.
    """
    settling = settling_reading(photo)
    if settling is None or settling.recorded is None:
        return None
    counted = [settling]
    if settling.role == Reading.Role.SECOND:
        counted = [reading for reading in photo.readings.all() if reading.recorded and reading.role != "adjudication"]
        counted.sort(key=lambda reading: reading.role)  # the first reader's note first
    chosen = min(
        (reading for reading in counted if reading.management),
        key=lambda reading: (CAUTION.index(reading.management), reading.monitor_months or 0),
        default=settling,
    )
    return Outcome(
        reading=settling,
        answer=settling.answer,
        diagnosis=settling.diagnosis,
        management=chosen.management,
        monitor_months=chosen.monitor_months,
        notes=tuple(reading.note for reading in counted if reading.note),
        recorded=settling.recorded,
    )


def wants_a_visit(photo: Photo) -> bool:
    """Whether a reader wants the spot to be examined in person. This does not wait for other readers.

    For a settled photo its outcome decides. Otherwise any recorded reading does.
    """
    outcome = outcome_of(photo)
    if outcome is not None:
        return outcome.management in IN_PERSON
    return any(reading.management in IN_PERSON for reading in photo.readings.all() if reading.recorded is not None)
