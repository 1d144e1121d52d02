"""Reminders: set, replace, end, end by a photo, send once, refuse if a doctor should look."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.utils import timezone

from accounts.models import Notification, User
from accounts.permissions import NotAllowed
from accounts.services.notifications import notify
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.lesions.reminders import (
    ReminderRefusal,
    ReminderRefused,
    end_reminder,
    reminder_refusal,
    send_due_reminders,
    set_reminder,
)
from diagnoses.lesions.services import create_lesion, move_photos
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Reading
from diagnoses.results.advice import months_later

pytestmark = pytest.mark.django_db
MakePhoto = Callable[..., Photo]
HARMLESS = [0.02, 0.8, 0.03, 0.03, 0.05, 0.03, 0.02, 0.02]


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-01-15", 3, "2026-04-15"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2027-11-30", 3, "2028-02-29"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2026-03-31", 3, "2026-06-30"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-12-01", 12, "2027-12-01"),
        ("2026-09-30", 3, "2026-12-30"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-01-31", 12, "2027-01-31"),
    ],
)
def test_months_end_where_they_end(day: str, months: int, expected: str) -> None:
    assert months_later(date.fromisoformat(day), months) == date.fromisoformat(expected)


@pytest.fixture
def lesion(
    patient: User, make_photo: MakePhoto, predict: Callable[..., Photo], assess: Callable[..., object]
) -> Lesion:
    """A spot whose newest photo may be monitored."""
    spot = create_lesion(owner=patient, name="arm")
    predict(make_photo(patient, lesion=spot), HARMLESS, assessment=assess("monitor", score=2))
    return spot


def test_a_reminder_is_set_and_replaced(lesion: Lesion, patient: User) -> None:
    set_reminder(lesion=lesion, months=3, by=patient)
    second = set_reminder(lesion=lesion, months=12, by=patient)
    assert list(Reminder.objects.standing()) == [second]
    assert second.due == months_later(timezone.localdate(), 12)
    assert Reminder.objects.count() == 2
    assert end_reminder(lesion=lesion, by=patient)
    assert not end_reminder(lesion=lesion, by=patient)


def test_only_the_owner_sets_and_ends_reminders(
    lesion: Lesion, patient: User, other_patient: User, clinician: User
) -> None:
    for somebody in (other_patient, clinician):
        with pytest.raises(NotAllowed):
            set_reminder(lesion=lesion, months=3, by=somebody)
    set_reminder(lesion=lesion, months=3, by=patient)
    for somebody in (other_patient, clinician):
        with pytest.raises(NotAllowed):
            end_reminder(lesion=lesion, by=somebody)
    with pytest.raises(ValueError, match="3, 6, 12"):
        set_reminder(lesion=lesion, months=4, by=patient)
    assert Reminder.objects.standing().count() == 1


def test_a_spot_that_changes_gets_the_advice_instead(lesion: Lesion, patient: User) -> None:
    record_history(photo=lesion.photos.get(), by=patient, answers=HistoryAnswers(change_size=True))
    with pytest.raises(ReminderRefused) as refused:
        set_reminder(lesion=lesion, months=3, by=patient)
    assert refused.value.refusal == ReminderRefusal.DOCTOR
    assert not Reminder.objects.exists()


def test_why_a_reminder_is_not_offered(
    patient: User, make_photo: MakePhoto, predict: Callable[..., Photo], assess: Callable[..., object]
) -> None:
    spot = create_lesion(owner=patient, name="leg")
    assert reminder_refusal(spot) == ReminderRefusal.NO_PHOTO
    photo = make_photo(patient, lesion=spot)
    assert reminder_refusal(spot) == ReminderRefusal.WAITING
    predict(photo, HARMLESS, assessment=assess("not_assessed", "blurred"))
    assert reminder_refusal(spot) == ReminderRefusal.NOT_ASSESSED
    predict(make_photo(patient, lesion=spot), HARMLESS, assessment=assess("urgent", score=9))
    assert reminder_refusal(spot) == ReminderRefusal.DOCTOR
    predict(make_photo(patient, lesion=spot), HARMLESS, assessment=assess("monitor", score=2))
    assert reminder_refusal(spot) is None


def test_what_is_known_of_a_spot_outweighs_its_picture(lesion: Lesion, clinician: User) -> None:
    record_finding(photo=lesion.photos.get(), by=clinician, diagnosis="BCC", source="histopathology")
    assert reminder_refusal(lesion) == ReminderRefusal.DOCTOR


@pytest.mark.parametrize(
    ("management", "state", "expected"),
    [
        ("biopsy", "second", ReminderRefusal.DOCTOR),
        ("refer", "read", ReminderRefusal.DOCTOR),
        ("monitor", "read", None),
        ("monitor", "second", ReminderRefusal.DOCTOR),
    ],
)
def test_a_clinicians_word_counts_before_the_picture(
    patient: User,
    clinician: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
    assess: Callable[..., object],
    management: str,
    state: str,
    expected: ReminderRefusal | None,
) -> None:
    """The prediction says "soon": only a settled reading may allow a reminder."""
    spot = create_lesion(owner=patient, name="leg")
    photo = predict(make_photo(patient, lesion=spot), HARMLESS, assessment=assess("soon", score=6))
    now = timezone.now()
    Reading.objects.create(
        photo=photo, reader=clinician, role="first", blind_answer="cannot-say", revealed=now, answer="cannot-say",
        management=management, monitor_months=3 if management == "monitor" else None, recorded=now,
    )  # fmt: skip
    Photo.objects.filter(pk=photo.pk).update(review_state=state)
    assert reminder_refusal(spot) == expected


def _due(lesion: Lesion, **days: int) -> Reminder:
    return Reminder.objects.create(lesion=lesion, months=3, due=timezone.localdate() - timedelta(**days))


def test_a_reminder_is_kept_by_a_photo_newer_than_it_alone(
    lesion: Lesion, patient: User, make_photo: MakePhoto
) -> None:
    older, newer = (make_photo(patient, created=timezone.now() + timedelta(days=days)) for days in (-30, 1))
    reminder = set_reminder(lesion=lesion, months=3, by=patient)
    for photo, stands in ((older, True), (newer, False)):
        move_photos(photo_ids=[photo.pk], lesion=lesion, by=patient)
        reminder.refresh_from_db()
        assert (reminder.ended is None) is stands


def test_due_reminders_are_sent_once(lesion: Lesion, patient: User) -> None:
    reminder = _due(lesion, days=0)
    assert send_due_reminders() == 1
    assert send_due_reminders() == 0
    reminder.refresh_from_db()
    assert reminder.sent is not None and reminder.ended is None
    told = Notification.objects.get(kind="reminder")
    assert (told.user, told.kind, told.subject) == (patient, "reminder", f"lesion:{lesion.pk}")
    assert told.path == f"/spots/{lesion.pk}/"
    assert told.data == {"spot": "arm", "months": 3}


def test_a_sweep_that_died_after_the_notification_does_not_tell_twice(lesion: Lesion) -> None:
    reminder = _due(lesion, days=1)
    assert send_due_reminders() == 1
    Reminder.objects.filter(pk=reminder.pk).update(sent=None)
    send_due_reminders()
    assert Notification.objects.filter(kind="reminder").count() == 1


def test_what_is_not_due_and_what_ended_stay_quiet(lesion: Lesion, patient: User) -> None:
    _due(lesion, days=-1)
    assert send_due_reminders() == 0
    end_reminder(lesion=lesion, by=patient)
    _due(lesion, days=1)
    User.objects.filter(pk=patient.pk).update(is_active=False)
    assert send_due_reminders() == 0
    assert not Notification.objects.filter(kind="reminder").exists()


def test_a_spot_for_the_doctor_by_now_is_not_called_time_to_photograph(lesion: Lesion, clinician: User) -> None:
    reminder = _due(lesion, days=1)
    record_finding(photo=lesion.photos.get(), by=clinician, diagnosis="MEL", source="clinician")
    assert send_due_reminders() == 0
    reminder.refresh_from_db()
    assert reminder.ended is not None
    assert not Notification.objects.filter(kind="reminder").exists()


def test_one_that_fails_keeps_the_others_not_back(
    lesion: Lesion, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo],
    assess: Callable[..., object], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = create_lesion(owner=patient, name="leg")
    predict(make_photo(patient, lesion=other), HARMLESS, assessment=assess("monitor", score=2))
    _due(lesion, days=2)
    _due(other, days=1)

    def fragile(**told: object) -> object:
        if told["subject"] == f"lesion:{lesion.pk}":
            raise RuntimeError("mail is down")
        return notify(**told)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr("diagnoses.lesions.reminders.notify", fragile)
    assert send_due_reminders() == 1
    assert Reminder.objects.due().count() == 1
