"""Writes to readings: request a review, begin, blind answer, final answer, second reading."""

from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry, Notification, Role, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo
from diagnoses.photos.notifications import tell_owner
from diagnoses.readings.findings import append_finding, close_review
from diagnoses.readings.models import MONITOR_MONTHS, Finding, Reading
from diagnoses.readings.outcome import IN_PERSON
from diagnoses.readings.rules import (
    OVERRIDE_REASON_MAX,
    Said,
    answer_of,
    needs_a_reason,
    next_state,
    reason_for_second,
    role_in,
)
from recognition.taxonomy import CODES


class ReadingRefusal(StrEnum):
    """Why a reading is refused."""

    CLOSED = "closed"
    """Somebody else settled the photo meanwhile. `record_final(insist=True)` makes this a second reading."""
    SETTLED = "settled"
    """The photo is settled, and there is no role left."""
    ALREADY = "already"
    """This person has read this photo."""
    BLIND_STANDS = "blind-stands"
    """Another blind answer was recorded before the reveal and cannot be changed."""
    NOT_REVEALED = "not-revealed"
    """The blind answer is missing; the final one comes after it."""
    ADJUDICATES = "adjudicates"
    """Two others disagree meanwhile. This answer would decide, but the reader has not seen theirs."""
    NOBODY = "nobody"
    """Nobody else can read the photo."""
    NOT_SO = "not-so"
    """The state of the photo does not allow this."""


class ReadingRefused(Exception):
    """An expected refusal; nothing was written."""

    def __init__(self, code: ReadingRefusal) -> None:
        super().__init__(code.value)
        self.code = code


def begin_reading(*, photo: Photo, by: User) -> Reading:
    """Begin the reading of `photo` by `by`, or return the one already begun.

    Raises NotAllowed unless `by` is a clinician or an administrator, and for one's own photo, ReadingRefused if they
    have read it or the photo waits for nobody, Photo.DoesNotExist if it was deleted.
    """
    _require_reader(by)
    with transaction.atomic():
        locked = _lock(photo.pk)
        if locked.owner_id == by.pk:
            raise NotAllowed("Nobody reads their own photo.")
        reading = Reading.objects.filter(photo=locked, reader=by).first()
        if reading is not None and reading.recorded is not None:
            raise ReadingRefused(ReadingRefusal.ALREADY)
        if reading is not None:
            return reading
        role = role_in(locked.review_state)
        if not role:
            raise ReadingRefused(ReadingRefusal.SETTLED)
        return Reading.objects.create(photo=locked, reader=by, role=role)


def record_blind(*, reading: Reading, by: User, answer: str, diagnosis: str = "") -> Reading:
    """Record the blind answer and reveal the prediction.

    Repeating the same answer changes nothing. Raises NotAllowed unless `by` is the reader, ValidationError for an
    invalid answer, ReadingRefused if another blind answer was recorded.
    """
    _require_reader(by, reading)
    said = _said(answer, diagnosis)
    with transaction.atomic():
        photo = _lock(reading.photo_id)
        locked = Reading.objects.select_for_update(no_key=True).get(pk=reading.pk)
        if locked.revealed is not None:
            if said != Said(locked.blind_answer, locked.blind_diagnosis):
                raise ReadingRefused(ReadingRefusal.BLIND_STANDS)
            return locked
        locked.blind_answer, locked.blind_diagnosis = said.answer, said.diagnosis
        locked.revealed = timezone.now()
        locked.assessment = photo.assessment
        locked.save(update_fields=["blind_answer", "blind_diagnosis", "revealed", "assessment"])
    return locked


def record_final(
    *,
    reading: Reading,
    by: User,
    answer: str,
    diagnosis: str = "",
    management: str = "",
    monitor_months: int | None = None,
    override_reason: str = "",
    note: str = "",
    second_reading: bool = False,
    shown_role: str = "",
    insist: bool = False,
) -> Reading:
    """Record the final answer, and settle the photo or pass it to the next reader.

    `second_reading` is the first reader's wish for a second one. `shown_role` is the role for which the page was made:
    a reader who became the adjudicator meanwhile must first see the two other answers. `insist` makes a late reading
    the second one (see `ReadingRefusal.CLOSED`).

    Raises NotAllowed unless `by` is the reader, ValidationError by field (answer, management, monitor_months,
    override_reason), ReadingRefused (see `ReadingRefusal`), Photo.DoesNotExist if the photo was deleted.
    """
    _require_reader(by, reading)
    said = _said(answer, diagnosis)
    with transaction.atomic():
        photo = _lock(reading.photo_id)
        locked = Reading.objects.select_for_update(no_key=True).get(pk=reading.pk)
        locked.photo = photo
        if locked.recorded is not None:
            raise ReadingRefused(ReadingRefusal.ALREADY)
        if locked.revealed is None:
            raise ReadingRefused(ReadingRefusal.NOT_REVEALED)
        locked.role = _role_now(photo, shown_role=shown_role, insist=insist)
        predicted = answer_of(locked.assessment)
        _check(said, management, monitor_months, override_reason, predicted)
        locked.answer, locked.diagnosis = said.answer, said.diagnosis
        locked.management = management
        locked.monitor_months = monitor_months if management == Reading.Management.MONITOR else None
        locked.override_reason = override_reason.strip() if needs_a_reason(said, predicted=predicted) else ""
        locked.note = note.strip()
        locked.recorded = timezone.now()
        locked.save()
        audit.record(
            actor=by,
            action=AuditEntry.Action.READING_RECORDED,
            subject=f"photo:{photo.pk}",
            role=locked.role,
            answer=locked.answer,
            diagnosis=locked.diagnosis,
        )
        _hand_on(photo, locked, by=by, requested=second_reading, predicted=predicted)
    return locked


def request_second_reading(*, photo: Photo, by: User) -> Photo:
    """Request a second reading of a settled photo. Until then nothing changes for the patient.

    Raises NotAllowed unless `by` is a clinician or an administrator, ReadingRefused unless exactly one reader has read
    it, if its histopathology is known, or if nobody else can read it.
    """
    _require_reader(by)
    with transaction.atomic():
        locked = _lock(photo.pk)
        recorded = {reading.role: reading for reading in locked.readings.recorded()}
        if locked.review_state != Photo.ReviewState.READ or set(recorded) != {Reading.Role.FIRST}:
            raise ReadingRefused(ReadingRefusal.NOT_SO)
        if _histopathology_known(locked):
            raise ReadingRefused(ReadingRefusal.NOT_SO)
        if not somebody_else_may_read(locked, but=[recorded[Reading.Role.FIRST].reader_id]):
            raise ReadingRefused(ReadingRefusal.NOBODY)
        _ask_for_second(locked, by=by, reason=Photo.SecondReason.REQUESTED)
    return locked


def settle_alone(*, photo: Photo, by: User) -> Photo:
    """Settle a photo by its first reading if nobody can give the second one (any more).

    Raises NotAllowed unless `by` is a clinician or an administrator, ReadingRefused if it does not wait for a second
    reading, or somebody can give it.
    """
    _require_reader(by)
    with transaction.atomic():
        locked = _lock(photo.pk)
        first = locked.readings.recorded().filter(role=Reading.Role.FIRST).first()
        if locked.review_state != Photo.ReviewState.SECOND or first is None:
            raise ReadingRefused(ReadingRefusal.NOT_SO)
        if somebody_else_may_read(locked, but=[first.reader_id]):
            raise ReadingRefused(ReadingRefusal.NOT_SO)
        _settle(locked, first)
    return locked


def somebody_else_may_read(photo: Photo, *, but: Iterable[int]) -> bool:
    """Whether another active clinician, not the owner, can read `photo`.

    Administrators may read too, but photos do not wait for them: most of them are not doctors.
    """
    candidates = User.objects.filter(role=Role.CLINICIAN, is_active=True)
    return candidates.exclude(pk__in=[photo.owner_id, *but]).exists()


def _lock(photo_id: UUID) -> Photo:
    """The photo, locked until the transaction ends. Other tables can still refer to it meanwhile."""
    rows = Photo.objects.select_for_update(of=("self",), no_key=True).select_related("lesion", "owner", "assessment")
    return rows.get(pk=photo_id)


def _require_reader(by: User, reading: Reading | None = None) -> None:
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians read photos.")
    if reading is not None and reading.reader_id != by.pk:
        raise NotAllowed("This reading is somebody else's.")


def _said(answer: str, diagnosis: str) -> Said:
    """The validated answer. Raises ValidationError if it is invalid."""
    if answer not in Reading.Answer.values:
        raise ValidationError({"answer": _("Choose what you see.")})
    if (answer == Reading.Answer.DIAGNOSIS) != (diagnosis in CODES) or (answer != "diagnosis" and diagnosis):
        raise ValidationError({"answer": _("Choose what you see.")})
    return Said(answer, diagnosis)


def _check(said: Said, management: str, monitor_months: int | None, override_reason: str, predicted: str) -> None:
    """Check a final answer. Raises ValidationError with all invalid fields."""
    wrong: dict[str, str] = {}
    # Only an unusable photo needs no management: the patient takes another one.
    may_be_empty = said.answer == Reading.Answer.UNUSABLE
    if management not in ["", *Reading.Management.values] or (not management and not may_be_empty):
        wrong["management"] = _("Choose what should happen next.")
    elif management == Reading.Management.DISCHARGE and said.is_cancer:
        wrong["management"] = _("You read this as a cancer, so it needs a next step: choose what should happen next.")
    if management == Reading.Management.MONITOR and monitor_months not in MONITOR_MONTHS:
        wrong["monitor_months"] = _("Choose after how many months.")
    reason = override_reason.strip()
    if needs_a_reason(said, predicted=predicted) and not reason:
        wrong["override_reason"] = _("Your answer differs from the classifier’s: write down why.")
    if len(reason) > OVERRIDE_REASON_MAX:
        wrong["override_reason"] = _("Please use at most %(count)d characters.") % {"count": OVERRIDE_REASON_MAX}
    if wrong:
        raise ValidationError(wrong)


def _role_now(photo: Photo, *, shown_role: str, insist: bool) -> str:
    """The role in which an answer is accepted now. Raises ReadingRefused if there is none."""
    role = role_in(photo.review_state)
    if role == Reading.Role.ADJUDICATION and shown_role != Reading.Role.ADJUDICATION:
        raise ReadingRefused(ReadingRefusal.ADJUDICATES)
    if role:
        return role
    taken = set(photo.readings.recorded().values_list("role", flat=True))
    if taken - {Reading.Role.FIRST} or _histopathology_known(photo):
        raise ReadingRefused(ReadingRefusal.SETTLED)
    if not insist:
        raise ReadingRefused(ReadingRefusal.CLOSED)
    return Reading.Role.SECOND.value if taken else Reading.Role.FIRST.value


def _histopathology_known(photo: Photo) -> bool:
    return photo.findings.filter(source=Finding.Source.HISTOPATHOLOGY).exists()


def _hand_on(photo: Photo, reading: Reading, *, by: User, requested: bool, predicted: str) -> None:
    """After a final answer: settle the photo, or pass it to the next reader."""
    said = Said(reading.answer, reading.diagnosis)
    first, reason, somebody_else = None, "", True
    if reading.role == Reading.Role.FIRST:
        rules = settings.SECOND_READING_RULES
        reason = reason_for_second(said, predicted=predicted, requested=requested, rules=rules)
        somebody_else = bool(reason) and somebody_else_may_read(photo, but=[by.pk])
    elif reading.role == Reading.Role.SECOND:
        other = photo.readings.recorded().get(role=Reading.Role.FIRST)
        first = Said(other.answer, other.diagnosis)
    state = next_state(reading.role, said, first=first, second_wanted=bool(reason), somebody_else=somebody_else)
    if state == Photo.ReviewState.READ:
        if reason:
            # A second reading is needed but nobody can give it. The page says so.
            photo.second_reason = reason
            photo.save(update_fields=["second_reason"])
        _settle(photo, reading)
        return
    if state == Photo.ReviewState.SECOND:
        _ask_for_second(photo, by=by, reason=Photo.SecondReason(reason))
    else:
        photo.review_state, photo.review_closed = state, None
        photo.save(update_fields=["review_state", "review_closed"])
    if reading.management in IN_PERSON:
        # Notify the patient at once that the spot should be examined; this does not wait for another reader.
        tell_owner(photo, kind=Notification.Kind.REVIEW, key=f"reading:{reading.pk}")


def _ask_for_second(photo: Photo, *, by: User, reason: Photo.SecondReason) -> None:
    photo.review_state, photo.second_reason, photo.review_closed = Photo.ReviewState.SECOND, reason, None
    photo.save(update_fields=["review_state", "second_reason", "review_closed"])
    audit.record(
        actor=by,
        action=AuditEntry.Action.SECOND_READING_REQUESTED,
        subject=f"photo:{photo.pk}",
        reason=reason.value,
    )


def _settle(photo: Photo, reading: Reading) -> None:
    """Close the review by this reading: its diagnosis becomes a finding, and the patient is notified."""
    if reading.answer == Reading.Answer.DIAGNOSIS and not Finding.objects.filter(reading=reading).exists():
        append_finding(
            photo=photo,
            by=reading.reader,
            diagnosis=reading.diagnosis,
            source=Finding.Source.CLINICIAN,
            note=reading.note,
            assessment=reading.assessment,
            reading=reading,
        )
    close_review(photo)
    tell_owner(photo, kind=Notification.Kind.REVIEW, key=f"review:{reading.pk}")


@transaction.atomic
def request_review(*, photo: Photo, by: User) -> bool:
    """Ask clinicians to read a photo. Returns False if this was asked before or a clinician has read it.

    Raises NotAllowed unless `by` is the owner.
    """
    if photo.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the person whose photo it is asks for a review.")
    asked = Photo.objects.filter(
        pk=photo.pk, review_requested__isnull=True, review_state=Photo.ReviewState.UNREAD
    ).update(review_requested=timezone.now())
    if asked:
        audit.record(actor=by, action=AuditEntry.Action.REVIEW_REQUESTED, subject=f"photo:{photo.pk}")
    return bool(asked)
