"""Sets reminders to photograph a spot again, and sends those that are due."""

import logging
from datetime import date
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Notification, User
from accounts.permissions import NotAllowed
from accounts.services.notifications import notify
from diagnoses.lesions.joint import joint_answer
from diagnoses.lesions.models import MONTHS, Lesion, Reminder
from diagnoses.photos.models import Photo
from diagnoses.readings.models import Reading
from diagnoses.results.advice import months_later
from recognition.inference.assessment import Decision
from recognition.taxonomy import Diagnosis

logger = logging.getLogger(__name__)

EXAMINE: Final = {Reading.Management.BIOPSY.value, Reading.Management.REFER.value}
"""Managements that a new photo cannot replace."""

BATCH = 500
"""Reminders handled in one sweep. The rest waits for the next sweep."""


class ReminderRefusal(StrEnum):
    """Why a spot gets no reminder."""

    NO_PHOTO = "no-photo"
    """There is no photo to compare a new one with."""
    WAITING = "waiting"
    """The newest photo has no result yet."""
    NOT_ASSESSED = "not-assessed"
    """The newest photo could not be assessed. The next one is needed now, not in months."""
    DOCTOR = "doctor"
    """The spot should be seen by a doctor: because of the result, the history, a clinician or a known diagnosis."""


class ReminderRefused(Exception):
    """Raised if a spot may have no reminder. `refusal` says why."""

    def __init__(self, refusal: ReminderRefusal) -> None:
        self.refusal = refusal
        super().__init__(f"No reminder: {refusal}.")


def offered_days(today: date | None = None) -> list[tuple[int, date]]:
    """The choices: numbers of months, and the day of each."""
    today = today or timezone.localdate()
    return [(months, months_later(today, months)) for months in MONTHS]


def reminder_refusal(lesion: Lesion) -> ReminderRefusal | None:
    """Why this spot may have no reminder, or None if it may. At most five queries.

    Findings and readings count more than the prediction. A known cancer or a clinician who wants an examination refuses
    a reminder. A clinician who chose monitoring allows it, even against the prediction. Photos of one day that together
    need a doctor refuse it.
    """
    photos = lesion.photos.select_related("recognised_as", "history").prefetch_related("findings")
    newest = photos.order_by("-created", "-pk").first()
    if newest is None:
        return ReminderRefusal.NO_PHOTO
    truth = newest.ground_truth
    known = Diagnosis(truth.diagnosis) if truth is not None else None
    managements = _managements(newest)
    if (known is not None and (known.malignant or known.precursor)) or managements & EXAMINE:
        return ReminderRefusal.DOCTOR
    if managements and newest.review_state == Photo.ReviewState.READ:
        return None
    refusal = _refusal_by_picture(newest)
    joint = joint_answer(lesion) if refusal is None else None
    return ReminderRefusal.DOCTOR if joint is not None and joint.raises(newest.decision) else refusal


def _refusal_by_picture(photo: Photo) -> ReminderRefusal | None:
    if photo.status != Photo.Status.PREDICTED:
        return ReminderRefusal.WAITING
    if photo.decision == Decision.NOT_ASSESSED:
        return ReminderRefusal.NOT_ASSESSED
    history = photo.history
    if photo.decision != Decision.MONITOR or (history is not None and history.needs_a_doctor):
        return ReminderRefusal.DOCTOR
    return None


def _managements(photo: Photo) -> set[str]:
    """The managements the clinicians chose: the adjudicator's if there is one, else those of all readers."""
    readings = list(photo.readings.recorded())
    last = [reading for reading in readings if reading.role == Reading.Role.ADJUDICATION]
    return {reading.management for reading in last or readings if reading.management}


def set_reminder(*, lesion: Lesion, months: int, by: User) -> Reminder:
    """Set a reminder to photograph a spot again in `months` from today. Replaces the active one.

    Raises NotAllowed unless `by` is the owner, ValueError for a number of months that is not offered,
    `ReminderRefused` if the spot should be seen by a doctor or has no photo to compare with.
    """
    if lesion.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the owner sets reminders of a spot.")
    if months not in MONTHS:
        raise ValueError(f"A reminder is set for {', '.join(map(str, MONTHS))} months, not {months}.")
    with transaction.atomic():
        # The lock makes a simultaneous request wait. It then ends the first reminder instead of failing.
        locked = Lesion.objects.select_for_update().get(pk=lesion.pk)
        refusal = reminder_refusal(locked)
        if refusal is not None:
            raise ReminderRefused(refusal)
        _end(lesion)
        return Reminder.objects.create(lesion=locked, months=months, due=months_later(timezone.localdate(), months))


def end_reminder(*, lesion: Lesion, by: User) -> bool:
    """End the active reminder. Returns False if there was none. Raises NotAllowed unless `by` is the owner."""
    if lesion.owner_id != by.pk:
        raise NotAllowed("Only the owner calls reminders off.")
    return _end(lesion)


def _end(lesion: Lesion) -> bool:
    return bool(Reminder.objects.standing().filter(lesion=lesion).update(ended=timezone.now()))


def send_due_reminders() -> int:
    """Notify the owners of all due reminders, once. Returns how many were notified.

    If a spot should be seen by a doctor by now, its reminder ends without a notification. Safe to run twice or in two
    workers: rows are locked, and each notification has a unique key.
    """
    due = Reminder.objects.due().filter(lesion__owner__is_active=True).order_by("due", "pk")
    sent = 0
    for pk in list(due.values_list("pk", flat=True)[:BATCH]):
        try:
            sent += _send(pk)
        except Exception:
            # A failure for one spot must not stop the others. This one is tried again at the next sweep.
            logger.exception("A reminder could not be sent.")
    if sent:
        logger.info("Reminders sent: %d.", sent)
    return sent


def _send(pk: int) -> int:
    with transaction.atomic():
        reminder = (
            Reminder.objects.due()
            .select_related("lesion__owner")
            .select_for_update(of=("self",), skip_locked=True)
            .filter(pk=pk)
            .first()
        )
        if reminder is None:
            return 0  # another worker has locked it, or it has ended
        lesion, now = reminder.lesion, timezone.now()
        if reminder_refusal(lesion) in {ReminderRefusal.DOCTOR, ReminderRefusal.NO_PHOTO}:
            Reminder.objects.filter(pk=pk).update(ended=now)
            return 0
        notify(
            user=lesion.owner,
            kind=Notification.Kind.REMINDER,
            subject=f"lesion:{lesion.pk}",
            path=reverse("lesion", args=[lesion.pk]),
            key=f"reminder:{pk}",
            data={"spot": lesion.name, "months": reminder.months},
        )
        Reminder.objects.filter(pk=pk).update(sent=now)
    return 1
