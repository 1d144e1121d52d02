"""The inference worker indexes an analysed photo at once, and the others while no photo waits."""

from typing import Any

import pytest

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos import worker
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import submit_photo
from diagnoses.similar.indexing import Indexer
from diagnoses.similar.models import DIMENSIONS, FeatureVector
from diagnoses.similar.references import store_references
from recognition.datasets.known_images import small_picture
from tests.factories import made_photo


@pytest.fixture
def engine(tiny_classifier: Classifier, redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_engine", worker._Engine())
    monkeypatch.setattr(worker, "_indexer", Indexer())


@pytest.mark.usefixtures("engine")
def test_analysed_photos_first_the_rest_when_nobody_waits(patient: User) -> None:
    small = small_picture(made_photo("NV", 3))
    store_references([small])
    KnownImage.objects.create(
        dataset="Set", image="one", diagnosis="NV", original_sha256=small.original_sha256, content_hash=bytes(32)
    )
    photo = submit_photo(owner=patient, data=made_photo("MEL", 8))
    worker.index_similar_cases()
    assert not FeatureVector.objects.exists(), "a patient waits"
    worker.predict_photo(photo.pk)
    assert Photo.objects.get().status == Photo.Status.PREDICTED
    vector = FeatureVector.objects.get()
    assert (vector.photo_id, len(vector.values)) == (photo.pk, DIMENSIONS)
    worker.index_similar_cases()
    assert FeatureVector.objects.filter(reference__isnull=False).count() == 1


@pytest.mark.usefixtures("engine")
def test_without_a_live_classifier_nothing_happens(db: None) -> None:
    Classifier.objects.update(stage="retired")
    worker.index_similar_cases()
    assert not FeatureVector.objects.exists()


@pytest.mark.usefixtures("engine")
def test_an_answer_is_not_lost_with_its_vector(
    patient: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: Any) -> None:
        raise ValueError("Features that are all zero have no direction.")

    monkeypatch.setattr(worker, "keep_vector", broken)
    photo = submit_photo(owner=patient, data=made_photo("MEL", 8))
    worker.predict_photo(photo.pk)
    assert Photo.objects.get().status == Photo.Status.PREDICTED
    assert "no place among similar cases" in caplog.text
