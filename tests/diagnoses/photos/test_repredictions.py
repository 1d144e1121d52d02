"""A photo analysed again by the live classifier gets a second prediction; the first one is kept."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import claim_photo, fail_photo
from diagnoses.photos.services import repredict_photo
from recognition.taxonomy import CODES
from tests.diagnoses.answers import record_answer


@pytest.fixture
def successor(classifier_row: Classifier) -> Callable[[], Classifier]:
    """Make another classifier live."""

    def succeed() -> Classifier:
        Classifier.objects.filter(stage=Classifier.Stage.LIVE).update(stage=Classifier.Stage.RETIRED)
        return Classifier.objects.create(
            version="successor",
            sha256="5" * 64,
            manifest={"diagnoses": list(CODES)},
            stage=Classifier.Stage.LIVE,
            promoted=timezone.now(),
        )

    return succeed


def answer(photo: Photo, classifier: Classifier, position: int) -> None:
    claim = claim_photo(photo.pk)
    assert claim is not None
    probabilities = [0.05] * len(CODES)
    probabilities[position] = 0.65
    record_answer(claim, classifier, probabilities)


def test_the_second_prediction_comes_beside_the_first(
    make_photo: Callable[..., Photo],
    patient: User,
    clinician: User,
    classifier_row: Classifier,
    successor: Callable[[], Classifier],
) -> None:
    photo = make_photo(patient)
    answer(photo, classifier_row, 0)
    new = successor()
    assert repredict_photo(photo=photo, by=clinician)
    photo.refresh_from_db()
    assert photo.status == Photo.Status.QUEUED
    assert photo.prediction is not None
    assert photo.prediction.classifier == classifier_row  # readable until the new one is there
    assert photo.diagnosis == CODES[0]
    assert not repredict_photo(photo=photo, by=clinician)  # it waits already

    answer(photo, new, 3)
    photo.refresh_from_db()
    assert photo.prediction is not None
    assert (photo.prediction.classifier, photo.diagnosis) == (new, CODES[3])
    assert {a.prediction.classifier.version: a.diagnosis for a in photo.assessments.all()} == {
        classifier_row.version: CODES[0],
        "successor": CODES[3],
    }
    assert not repredict_photo(photo=photo, by=clinician)  # the live one has answered


def test_not_by_the_patient_and_not_without_a_live_classifier(
    make_photo: Callable[..., Photo], patient: User, clinician: User, classifier_row: Classifier
) -> None:
    photo = make_photo(patient)
    answer(photo, classifier_row, 0)
    with pytest.raises(NotAllowed):
        repredict_photo(photo=photo, by=patient)
    Classifier.objects.update(stage=Classifier.Stage.RETIRED)
    assert not repredict_photo(photo=photo, by=clinician)
    photo.refresh_from_db()
    assert photo.status == Photo.Status.PREDICTED


def test_a_clinician_asks_the_live_classifier_from_the_page(
    client: Client,
    make_photo: Callable[..., Photo],
    patient: User,
    clinician: User,
    classifier_row: Classifier,
    successor: Callable[[], Classifier],
) -> None:
    photo = make_photo(patient)
    answer(photo, classifier_row, 0)
    page, ask = reverse("photo", args=[photo.pk]), reverse("photo-repredict", args=[photo.pk])
    client.force_login(clinician)
    assert ask not in client.get(page).content.decode()  # the live one has answered
    new = successor()
    assert ask in client.get(page).content.decode()
    assert client.post(ask, follow=True).redirect_chain[-1][0] == page
    photo.refresh_from_db()
    assert photo.status == Photo.Status.QUEUED
    client.force_login(patient)
    assert "Until then the earlier answer stands: Melanoma" in client.get(page).content.decode()
    assert client.post(ask).status_code == 404  # patients may not ask for this

    answer(photo, new, 3)
    client.force_login(clinician)
    text = client.get(page).content.decode()
    assert "Actinic keratosis" in text
    assert classifier_row.version in text  # the first answer is still readable
    assert ask not in text


def test_a_second_analysis_that_failed_leaves_the_first_answer_readable(
    client: Client,
    make_photo: Callable[..., Photo],
    patient: User,
    clinician: User,
    classifier_row: Classifier,
    successor: Callable[[], Classifier],
) -> None:
    photo = make_photo(patient)
    answer(photo, classifier_row, 0)
    successor()
    assert repredict_photo(photo=photo, by=clinician)
    claim = claim_photo(photo.pk)
    assert claim is not None
    assert fail_photo(claim=claim, code="prediction_failed")
    client.force_login(patient)
    text = client.get(reverse("photo", args=[photo.pk])).content.decode()
    assert "The analysis failed" in text
    assert "The earlier answer stands: Melanoma, 65\xa0%" in text
