"""Notifications about an analysis: made once, and deleted with the photo."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Notification, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import claim_photo, fail_photo
from diagnoses.photos.recovery import sweep
from diagnoses.photos.services import delete_photo
from recognition.inference.assessment import Assessment
from tests.diagnoses.answers import record_answer

MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., Assessment]
HTMX = {"hx-request": "true"}

pytestmark = pytest.mark.django_db


def test_a_result_is_told_once(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> None:
    lesion = create_lesion(owner=patient, name="nape")
    photo = predict(make_photo(patient, lesion=lesion), assessment=assess("soon"))
    told = Notification.objects.get()
    assert (told.user, told.kind, told.subject) == (patient, "result", f"photo:{photo.pk}")
    assert told.path == reverse("photo", args=[photo.pk])
    assert told.data == {"spot": "nape"}
    assert told.email_due


def test_another_classifier_is_news_only_when_it_advises_otherwise(
    patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = predict(make_photo(patient), assessment=assess("soon"))
    for number, decision in enumerate(["soon", "urgent"]):
        classifier = Classifier.objects.create(version=f"v{number}", sha256=str(number) * 64, manifest={})
        Photo.objects.update(status=Photo.Status.QUEUED, attempts=0)
        claim = claim_photo(photo.pk)
        assert claim is not None
        record_answer(claim, classifier, [0.125] * 8, assess(decision))
        assert Notification.objects.count() == 1 + number


def test_a_failure_is_told(patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient)
    claim = claim_photo(photo.pk)
    assert claim is not None
    assert fail_photo(claim=claim, code="photo_unreadable")
    assert not fail_photo(claim=claim, code="photo_unreadable")
    assert Notification.objects.get().kind == "failed"


@pytest.mark.usefixtures("classifier_row")
def test_a_photo_given_up_by_the_sweep_is_told(patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient, attempts=2)
    claim_photo(photo.pk)
    Photo.objects.update(lease_expires=timezone.now() - timedelta(seconds=1))
    sweep()
    photo.refresh_from_db()
    assert photo.status == Photo.Status.FAILED
    assert Notification.objects.get().kind == "failed"


@pytest.mark.parametrize("door", ["photo", "photo-status"])
def test_whoever_has_seen_it_gets_no_mail(
    door: str, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict
) -> None:
    photo = predict(make_photo(patient))
    doctor, owner = Client(), Client()
    doctor.force_login(clinician)
    owner.force_login(patient)
    doctor.get(reverse(door, args=[photo.pk]), headers=HTMX)
    assert Notification.objects.get().read is None
    owner.get(reverse(door, args=[photo.pk]), headers=HTMX)
    told = Notification.objects.get()
    assert told.read is not None
    assert not told.email_due


def test_other_peoples_news_stay_unread(
    patient: User, other_patient: User, make_photo: MakePhoto, predict: Predict
) -> None:
    photo, other = predict(make_photo(patient)), predict(make_photo(other_patient))
    client = Client()
    client.force_login(patient)
    client.get(reverse("photo", args=[photo.pk]))
    assert Notification.objects.get(subject=f"photo:{other.pk}").read is None


def test_a_deleted_photo_leaves_no_news(patient: User, make_photo: MakePhoto, predict: Predict) -> None:
    photo = predict(make_photo(patient))
    delete_photo(photo=photo, by=patient)
    assert not Notification.objects.exists()
