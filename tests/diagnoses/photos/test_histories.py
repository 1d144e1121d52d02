"""The reported history: saved once, and a changing spot is never only monitored."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.lesions.models import Reminder
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.assessments import effective_decision
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo, PhotoHistory
from diagnoses.photos.services import submit_photo
from diagnoses.results.advice import advice_on

pytestmark = pytest.mark.django_db
MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., object]
HARMLESS = [0.02, 0.8, 0.03, 0.03, 0.05, 0.03, 0.02, 0.02]
CHANGING = HistoryAnswers(change_colour=True)
STEADY = HistoryAnswers(duration="years", change_size=False, raised=False)


@pytest.mark.parametrize(
    ("answers", "score", "needs"),
    [
        (HistoryAnswers(), 0, False),
        (HistoryAnswers(itch=True, bleeding=True), 2, False),
        (HistoryAnswers(itch=True, bleeding=True, inflamed=True), 3, True),
        (HistoryAnswers(diameter_7mm=True, change_size=False), 1, False),
        (HistoryAnswers(change_size=True), 2, True),
        (HistoryAnswers(raised=True), 0, True),
        (
            HistoryAnswers(
                change_size=True, change_shape=True, change_colour=True, diameter_7mm=True, inflamed=True,
                bleeding=True, itch=True,
            ),
            10,
            True,
        ),
    ],
)  # fmt: skip
def test_the_checklist_counts_as_published(answers: HistoryAnswers, score: int, needs: bool) -> None:
    history = PhotoHistory(**vars(answers))
    assert (history.checklist_score, history.needs_a_doctor) == (score, needs)


def test_only_monitor_gives_way_to_a_history() -> None:
    changing, steady = PhotoHistory(change_size=True), PhotoHistory(itch=True)
    assert effective_decision("monitor", changing) == "soon"
    assert effective_decision("monitor", steady) == "monitor"
    assert effective_decision("monitor", None) == "monitor"
    for decision in ("urgent", "soon", "not_assessed", ""):
        assert effective_decision(decision, changing) == decision


def test_a_history_before_the_prediction_is_heeded_by_it(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = make_photo(patient)
    record_history(photo=photo, by=patient, answers=CHANGING)
    photo = predict(photo, HARMLESS, assessment=assess("monitor", score=2))
    assert photo.assessment is not None
    assert (photo.decision, photo.assessment.decision, photo.priority) == ("soon", "monitor", 2)
    advice = advice_on(photo, photo.assessment)
    assert advice.kind == "soon" and advice.is_strong
    assert "what you say of the spot does not" in advice.detail
    assert advice.photograph_by is None


def test_a_history_after_the_prediction_changes_the_decision_and_ends_the_reminder(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    photo = predict(make_photo(patient, lesion=lesion), HARMLESS, assessment=assess("monitor", score=2))
    assert photo.decision == "monitor"
    Reminder.objects.create(lesion=lesion, months=3, due=timezone.localdate())
    record_history(photo=photo, by=patient, answers=HistoryAnswers(raised=True))
    assert photo.decision == "soon"
    assert Photo.objects.get().decision == "soon"
    assert not Reminder.objects.standing().exists()


def test_a_steady_history_changes_nothing(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = predict(make_photo(patient), HARMLESS, assessment=assess("monitor", score=2))
    record_history(photo=photo, by=patient, answers=STEADY)
    photo = Photo.objects.get()
    assert photo.assessment is not None and photo.history is not None
    assert photo.decision == "monitor"
    assert advice_on(photo, photo.assessment).kind == "monitor"


def test_who_was_not_assessed_but_changes_is_sent_to_a_doctor(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = predict(make_photo(patient), HARMLESS, assessment=assess("not_assessed", "blurred"))
    record_history(photo=photo, by=patient, answers=CHANGING)
    photo = Photo.objects.get()
    assert photo.assessment is not None
    assert photo.decision == "not_assessed"
    advice = advice_on(photo, photo.assessment)
    assert advice.is_refusal and advice.reasons
    assert "reason enough to have a doctor look at it" in advice.detail


def test_a_prediction_without_a_decision_gives_way_as_well(
    patient: User, make_photo: MakePhoto, predict: Predict
) -> None:
    photo = predict(make_photo(patient), HARMLESS)
    assert photo.assessment is not None
    assert advice_on(photo, photo.assessment).kind == "watch"
    record_history(photo=photo, by=patient, answers=CHANGING)
    assert advice_on(Photo.objects.get(), photo.assessment).kind == "soon"


def test_a_history_is_told_by_the_owner_and_what_was_told_before_is_kept(
    patient: User, other_patient: User, clinician: User, make_photo: MakePhoto
) -> None:
    photo = make_photo(patient)
    for somebody in (other_patient, clinician):
        with pytest.raises(NotAllowed):
            record_history(photo=photo, by=somebody, answers=CHANGING)
    with pytest.raises(ValidationError, match="at least one"):
        record_history(photo=photo, by=patient, answers=HistoryAnswers())
    with pytest.raises(ValidationError):
        record_history(photo=photo, by=patient, answers=HistoryAnswers(duration="for ages"))
    assert not PhotoHistory.objects.exists()
    first = record_history(photo=photo, by=patient, answers=STEADY)
    assert record_history(photo=photo, by=patient, answers=STEADY) == first
    assert PhotoHistory.objects.count() == 1, "the same answers once more are not news"
    second = record_history(photo=photo, by=patient, answers=CHANGING)
    photo = Photo.objects.get()
    assert photo.history == second
    assert list(photo.histories.all()) == [second, first]
    assert (second.duration, second.change_colour, first.change_colour) == ("", True, None)


def test_an_upload_brings_its_history_and_keeps_the_reminder(patient: User, picture: Callable[..., bytes]) -> None:
    from diagnoses.photos.services import PhotoMetadata

    lesion = create_lesion(owner=patient, name="arm")
    Reminder.objects.create(lesion=lesion, months=3, due=timezone.localdate())
    metadata = PhotoMetadata(lesion=lesion)
    first = submit_photo(owner=patient, data=picture(), metadata=metadata, history=CHANGING)
    assert first.history is not None and first.history.change_colour is True
    assert Reminder.objects.get().ended is not None
    second = submit_photo(owner=patient, data=picture(2), metadata=metadata, history=HistoryAnswers())
    assert Photo.objects.get(pk=second.pk).history is None
