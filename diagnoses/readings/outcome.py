"""Own what the readings of one photo come to: the one that settles it, and what the patient is told to do."""

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
"""The most careful first: of two readers who agree on the diagnosis the more careful one is followed."""

IN_PERSON: Final = frozenset({Reading.Management.BIOPSY.value, Reading.Management.REFER.value})
"""What means that the spot must be looked at by a doctor who stands before the patient."""


@dataclass(frozen=True)
class Outcome:
    """What the readers found, for the patient. `answer` and `management` are those of `Reading`, or ""."""

    reading: Reading
    answer: str
    diagnosis: str
    management: str
    monitor_months: int | None
    notes: tuple[str, ...]
    recorded: datetime

    @property
    def management_words(self) -> str:
        """What happens next, in the reader's language; "" where nothing was said."""
        return str(Reading.Management(self.management).label) if self.management else ""


def settling_reading(photo: Photo) -> Reading | None:
    """The reading that settled a photo: the adjudication, the second that agrees with the first, the only one.

    None while the photo waits for a reader, and where it was settled by a finding that came out of no reading. Reads
    `photo.readings` and `photo.findings`, which lists prefetch.
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
    """Whether a reading is what closed the review: a diagnosis that did is a finding, and no clinician spoke since."""
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
    """What the readings of a photo come to, or None where none settled it (see `settling_reading`).

    Where two readers agree on the diagnosis the more careful management counts, with both their notes.
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
    """Whether a reader wants the spot examined in person, be the photo settled or not: this never waits for others.

    A settled photo goes by its outcome; one that waits for another reader, by any reading recorded so far.
    """
    outcome = outcome_of(photo)
    if outcome is not None:
        return outcome.management in IN_PERSON
    return any(reading.management in IN_PERSON for reading in photo.readings.all() if reading.recorded is not None)
