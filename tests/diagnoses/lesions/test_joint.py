"""The joint answer for a lesion from several photos of one day."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from diagnoses.lesions.joint import joint_answer, joint_answers
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.reminders import ReminderRefusal, reminder_refusal
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

URL = "/api/v1/lesions/"
Shoot = Callable[..., Photo]


@pytest.fixture
def lesion(patient: User) -> Lesion:
    return create_lesion(owner=patient, name="arm")


@pytest.fixture
def shoot(patient: User, lesion: Lesion, make_photo: Any, measure: Any) -> Shoot:
    """A photo of the lesion, some days ago, with this probability of melanoma."""

    def do(melanoma: float, *, days: int = 0, **fields: Any) -> Photo:
        values = {"lesion": lesion, "image_type": DERMOSCOPIC, "created": timezone.now() - timedelta(days=days)}
        photo: Photo = measure(make_photo(patient, **{**values, **fields}), melanoma)
        return photo

    return do


def test_two_photos_of_a_day_answer_together(lesion: Lesion, shoot: Shoot) -> None:
    first = shoot(0.1)
    assert joint_answer(lesion) is None, "one photo says no more than itself"
    second = shoot(0.5, image_type=CLOSE_UP)
    joint = joint_answer(lesion)
    assert joint is not None
    # Mean logits: the odds are the geometric mean of 1/9 and 1.
    odds = (1 / 9) ** 0.5
    assert joint.by_code["MEL"] == pytest.approx(odds / (1 + odds), abs=1e-3)
    assert (joint.diagnosis, joint.pictures, joint.date) == ("NV", 2, timezone.localdate())
    assert set(joint.photos) == {first.pk, second.pk}
    assert (joint.decision, joint.is_newest) == ("soon", True), "by the more careful kind of the two"


def test_it_raises_the_advice_and_never_lowers_it(lesion: Lesion, shoot: Shoot) -> None:
    shoot(0.1)
    shoot(0.5)
    joint = joint_answer(lesion)
    assert joint is not None and joint.decision == "monitor"
    assert not joint.raises("soon") and not joint.raises("monitor")
    shoot(0.9)
    joint = joint_answer(lesion)
    assert joint is not None and joint.decision == "soon" and joint.pictures == 3
    assert joint.raises("monitor") and not joint.raises("soon") and not joint.raises("urgent")


def test_the_newest_day_with_two_counts_and_says_whether_it_is_the_present(
    lesion: Lesion, shoot: Shoot, django_assert_num_queries: Any
) -> None:
    old = [shoot(0.9, days=40), shoot(0.9, days=40)]
    shoot(0.05, days=20)
    joint = joint_answer(lesion)
    assert joint is not None and set(joint.photos) == {photo.pk for photo in old}
    assert not joint.is_newest and not joint.raises("monitor"), "a later photo has followed"
    with django_assert_num_queries(1):
        assert joint_answers([lesion]) == {lesion.pk: joint}
    shoot(0.05)
    new = shoot(0.05)
    joint = joint_answer(lesion)
    assert joint is not None and new.pk in joint.photos and joint.is_newest


def test_the_newest_answers_of_any_photo_count(patient: User, lesion: Lesion, shoot: Shoot) -> None:
    first = shoot(0.3)
    shoot(0.3)
    before = joint_answer(lesion)
    record_history(photo=first, by=patient, answers=HistoryAnswers(change_size=True))
    after = joint_answer(lesion)
    assert before is not None and after is not None
    assert after.by_code["MEL"] > before.by_code["MEL"] == pytest.approx(0.3, abs=1e-3)
    assert after.decision == "urgent"


def test_photos_without_measurements_or_of_other_lesions_do_not_count(
    patient: User, lesion: Lesion, shoot: Shoot, make_photo: Any
) -> None:
    other = create_lesion(owner=patient, name="leg")
    shoot(0.1)
    shoot(0.1, lesion=other)
    make_photo(patient, lesion=lesion)
    Photo.objects.filter(pk=shoot(0.1).pk).update(status=Photo.Status.QUEUED)
    assert joint_answers([lesion, other]) == {}
    shoot(0.1)
    assert set(joint_answers([lesion, other])) == {lesion.pk}


def test_a_spot_whose_photos_together_need_a_doctor_gets_no_reminder(lesion: Lesion, shoot: Shoot) -> None:
    shoot(0.9)
    assert shoot(0.15).decision == "monitor"
    assert reminder_refusal(lesion) == ReminderRefusal.DOCTOR
    shoot(0.15, days=-1)
    assert reminder_refusal(lesion) is None, "a later day has one harmless photo"


def test_the_api_answers_it(
    api: Any, patient: User, clinician: User, lesion: Lesion, shoot: Shoot, two_kinds: Any
) -> None:
    address = f"{URL}{lesion.pk}/"
    assert api(patient).get(address).json()["joint_prediction"] is None
    photos = [shoot(0.4), shoot(0.4)]
    joint = api(clinician).get(address).json()["joint_prediction"]
    assert joint["diagnosis"]["code"] == "NV" and joint["decision"] == "soon"
    assert sum(joint["probabilities"].values()) == pytest.approx(1)
    assert joint["malignant_score"] == pytest.approx(0.4, abs=1e-3)
    assert set(joint["photos"]) == {str(photo.pk) for photo in photos}
    assert joint["date"] == timezone.localdate().isoformat()
    assert joint["case_mix"] == two_kinds.manifest["case_mix"]
