"""Writes reminders to photograph a spot again, and sends those whose day has come."""

import calendar
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
from diagnoses.lesions.models import MONTHS, Lesion, Reminder
from diagnoses.photos.models import Photo
from diagnoses.readings.models import Reading
from recognition.inference.assessment import Decision
from recognition.taxonomy import Diagnosis

logger = logging.getLogger(__name__)

EXAMINE: Final = {Reading.Management.BIOPSY.value, Reading.Management.REFER.value}
"""What a clinician wants done that no photograph replaces."""

BATCH = 500
"""Reminders handled in one sweep; what is over waits for the next."""


class ReminderRefusal(StrEnum):
    """Why there is no reminder for a spot."""

    NO_PHOTO = "no-photo"
    """There is no photo that one could be compared with."""
    WAITING = "waiting"
    """The newest photo has no result yet."""
    NOT_ASSESSED = "not-assessed"
    """The newest photo could not be assessed: the next one is wanted now, not in months."""
    DOCTOR = "doctor"
    """The spot should be seen by a doctor: so say the result, the patient's history, a clinician or its known name."""


class ReminderRefused(Exception):
    """A reminder would stand in for a doctor, or there is nothing to compare with; `refusal` says which."""

    def __init__(self, refusal: ReminderRefusal) -> None:
        self.refusal = refusal
        super().__init__(f"No reminder: {refusal}.")


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last where it has no such day: 30 November, 3 -> 28 February."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def offered_days(today: date | None = None) -> list[tuple[int, date]]:
    """What a person may choose: numbers of months, and the day each falls on."""
    today = today or timezone.localdate()
    return [(months, months_later(today, months)) for months in MONTHS]


def reminder_refusal(lesion: Lesion) -> ReminderRefusal | None:
    """Why a reminder of this spot is not offered, or None where it is. At most four queries.

    What somebody found out of the spot counts before what its newest photo looks like: a known cancer or a clinician
    who wants it examined refuses; a clinician who lets it be photographed again allows, whatever the picture said.
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
    return _refusal_by_picture(newest)


def _refusal_by_picture(photo: Photo) -> ReminderRefusal | None:
    if photo.status != Photo.Status.PREDICTED:
        return ReminderRefusal.WAITING
    if photo.decision == Decision.NOT_ASSESSED:
        return ReminderRefusal.NOT_ASSESSED
    history = photo.reported_history
    if photo.decision != Decision.MONITOR or (history is not None and history.needs_a_doctor):
        return ReminderRefusal.DOCTOR
    return None


def _managements(photo: Photo) -> set[str]:
    """What the clinicians want done: the adjudicator's word where there is one, else everybody's."""
    readings = list(photo.readings.recorded())
    last = [reading for reading in readings if reading.role == Reading.Role.ADJUDICATION]
    return {reading.management for reading in last or readings if reading.management}


def set_reminder(*, lesion: Lesion, months: int, by: User) -> Reminder:
    """Remind the owner to photograph a spot again in so many months from today; replaces the one that stood.

    Raises NotAllowed for anybody but the owner, ValueError for another number of months than offered,
    `ReminderRefused` where the spot should be seen by a doctor or has nothing to be compared with.
    """
    if lesion.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the owner sets reminders of a spot.")
    if months not in MONTHS:
        raise ValueError(f"A reminder is set for {', '.join(map(str, MONTHS))} months, not {months}.")
    with transaction.atomic():
        # Two requests at once: the second ends the first one's reminder instead of meeting the constraint.
        locked = Lesion.objects.select_for_update().get(pk=lesion.pk)
        refusal = reminder_refusal(locked)
        if refusal is not None:
            raise ReminderRefused(refusal)
        _end(lesion)
        return Reminder.objects.create(lesion=locked, months=months, due=months_later(timezone.localdate(), months))


def end_reminder(*, lesion: Lesion, by: User) -> bool:
    """Call the standing reminder off. False where there was none; NotAllowed for anybody but the owner."""
    if lesion.owner_id != by.pk:
        raise NotAllowed("Only the owner calls reminders off.")
    return _end(lesion)


def _end(lesion: Lesion) -> bool:
    return bool(Reminder.objects.standing().filter(lesion=lesion).update(ended=timezone.now()))


def send_due_reminders() -> int:
    """Tell everybody whose day has come, once; returns how many were told.

    A spot that should be seen by a doctor by now is not called "time to photograph again": its reminder just ends.
    Safe to run twice or in two workers at once: a row is taken under lock, and a notification has one key.
    """
    due = Reminder.objects.due().filter(lesion__owner__is_active=True).order_by("due", "pk")
    told = 0
    for pk in list(due.values_list("pk", flat=True)[:BATCH]):
        try:
            told += _send(pk)
        except Exception:
            # One spot must not keep the others' reminders back; this one is tried again at the next sweep.
            logger.exception("A reminder could not be sent.")
    if told:
        logger.info("Reminders sent: %d.", told)
    return told


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
            return 0  # another worker has it, or it ended meanwhile
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
