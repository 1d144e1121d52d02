"""The index of similar cases: all pictures get a vector, confirmed ones first, and a stop loses nothing."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.readings.models import Finding
from diagnoses.similar import indexing
from diagnoses.similar.cases import case_vectors
from diagnoses.similar.indexing import Indexer, keep_vector, measure_scale
from diagnoses.similar.models import FeatureIndex, FeatureVector, ReferencePicture
from diagnoses.similar.references import drop_unknown_references, store_references, without_reference
from recognition.datasets.known_images import SmallPicture, small_picture
from tests.factories import made_photo


@dataclass
class Eye:
    """A fake loaded classifier whose features are the mean colours."""

    batch_size: int = 2
    seen: int = 0
    backend: Any = field(init=False)

    def __post_init__(self) -> None:
        self.backend = SimpleNamespace(batch_size=self.batch_size)

    def classify(self, images: Sequence[Image.Image]) -> list[Any]:
        self.seen += len(images)
        return [SimpleNamespace(features=np.asarray(image, dtype=np.float32).mean(axis=(0, 1))) for image in images]


def work(classifier: Classifier, eye: Any, indexer: Indexer | None = None, slices: int = 1000) -> bool:
    left = iter(range(slices))
    return (indexer or Indexer()).work(classifier=classifier, loaded=eye, should_stop=lambda: next(left, None) is None)


@pytest.fixture
def known(db: None) -> Callable[..., KnownImage]:
    def make(seed: int, code: str = "NV", *, picture: bool = True, **fields: Any) -> KnownImage:
        small = small_picture(made_photo(code, seed, size=(200, 150)))
        if picture:
            store_references([small])
        return KnownImage.objects.create(
            **{"dataset": "Set", "image": f"{code}{seed}", "diagnosis": code, "original_sha256": small.original_sha256}
            | fields,
            content_hash=bytes(32),
        )

    return make


@pytest.fixture
def photographed(make_photo: Any, predict: Any) -> Callable[..., Photo]:
    """An analysed photo with real pixels."""

    def make(owner: User, seed: int) -> Photo:
        name = default_storage.save(f"photos/similar/{seed}.jpg", ContentFile(made_photo("MEL", seed)))
        photo: Photo = predict(make_photo(owner, image=name))
        return photo

    return make


def test_everything_gets_its_place(
    patient: User, clinician: User, known: Any, photographed: Any, classifier_row: Classifier
) -> None:
    for seed in range(3):
        known(seed)
    older, newer, confirmed = (photographed(patient, seed) for seed in range(3))
    Finding.objects.create(photo=confirmed, diagnosis="MEL", source="clinician", recorded_by=clinician)
    Photo.objects.filter(pk=older.pk).update(created="2026-01-01T00:00Z")
    Photo.objects.filter(pk=confirmed.pk).update(created="2025-01-01T00:00Z")
    assert not work(classifier_row, Eye(), slices=2)
    assert FeatureVector.objects.filter(reference__isnull=False).count() == 3, "pictures of data sets first"
    assert FeatureIndex.objects.get().waiting == 3
    assert not work(classifier_row, Eye(batch_size=1), slices=1)
    assert [vector.photo_id for vector in FeatureVector.objects.filter(photo__isnull=False)] == [confirmed.pk]
    assert not work(classifier_row, Eye(batch_size=1), slices=1)
    assert FeatureVector.objects.filter(photo=newer).exists()
    assert work(classifier_row, Eye())
    assert FeatureVector.objects.count() == 6
    index = FeatureIndex.objects.get()
    assert (index.classifier, index.cases, index.waiting) == (classifier_row, 4, 0)
    eye = Eye()
    assert work(classifier_row, eye)
    assert eye.seen == 0, "nothing twice"


def test_a_photo_without_its_file_holds_nothing_up(
    patient: User, known: Any, photographed: Any, classifier_row: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    gone, fine = photographed(patient, 1), photographed(patient, 2)
    default_storage.delete(str(gone.image.name))
    indexer = Indexer()
    assert work(classifier_row, Eye(batch_size=1), indexer)
    assert [vector.photo_id for vector in FeatureVector.objects.all()] == [fine.pk]
    assert str(gone.pk) in caplog.text
    caplog.clear()
    assert work(classifier_row, Eye(), indexer)
    assert caplog.text == "", "not tried every few seconds"


def test_a_picture_that_points_nowhere_holds_nothing_up(known: Any, classifier_row: Classifier) -> None:
    black = Image.new("RGB", (100, 100))
    file = io.BytesIO()
    black.save(file, "JPEG")
    small = small_picture(file.getvalue())
    store_references([small])
    KnownImage.objects.create(
        dataset="Set", image="black", diagnosis="NV", original_sha256=small.original_sha256, content_hash=bytes(32)
    )
    known(1)
    assert work(classifier_row, Eye())
    assert FeatureVector.objects.count() == 1


def test_pictures_of_a_deleted_data_set_go(known: Any, classifier_row: Classifier) -> None:
    first, kept = known(1), known(2)
    KnownImage.objects.create(
        dataset="Other", image="again", diagnosis="NV", original_sha256=kept.original_sha256, content_hash=bytes(32)
    )
    assert work(classifier_row, Eye())
    KnownImage.objects.filter(dataset="Set").delete()
    assert drop_unknown_references() == 1
    assert [picture.original_sha256 for picture in ReferencePicture.objects.all()] == [kept.original_sha256]
    assert FeatureVector.objects.count() == 1
    assert first.original_sha256 != kept.original_sha256


def test_old_vectors_stay_for_one_way_back(known: Any, classifier_row: Classifier) -> None:
    from django.utils import timezone

    known(1)
    for number in range(3):
        Classifier.objects.filter(stage="live").update(stage="retired")
        live = Classifier.objects.create(
            version=f"v{number}", sha256=str(number) * 64, manifest={}, stage="live", promoted=timezone.now()
        )
        assert work(live, Eye())
    assert set(FeatureVector.objects.values_list("classifier__version", flat=True)) == {"v1", "v2"}
    assert set(FeatureIndex.objects.values_list("classifier__version", flat=True)) == {"v1", "v2"}


def test_the_worker_keeps_the_place_of_what_it_has_analysed(
    patient: User, photographed: Any, classifier_row: Classifier
) -> None:
    photo = photographed(patient, 1)
    for _ in range(2):
        keep_vector(photo_id=photo.pk, classifier=classifier_row, features=np.ones(16))
    assert FeatureVector.objects.get().photo_id == photo.pk
    key = photo.pk
    photo.delete()
    keep_vector(photo_id=key, classifier=classifier_row, features=np.ones(16))
    assert not FeatureVector.objects.exists()


def test_the_scale_leaves_a_lesions_own_pictures_out(
    known: Any, classifier_row: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "SCALE_MIN", 4)
    # Two lesions a right angle apart, two nearly equal pictures of each: a case's neighbour is the other lesion's.
    for seed, (lesion, vector) in enumerate((("A", (1, 0)), ("A", (1, 0.01)), ("B", (0, 1)), ("B", (0.01, 1)))):
        image = known(seed, lesion=lesion)
        picture = ReferencePicture.objects.get(original_sha256=image.original_sha256)
        values = np.zeros(128)
        values[:2] = np.array(vector) / np.linalg.norm(vector)
        FeatureVector.objects.create(classifier=classifier_row, reference=picture, values=values.tolist())
    measure_scale(classifier_row)
    index = FeatureIndex.objects.get()
    assert index.cases == case_vectors(classifier_row).count() == 4
    assert index.median_similarity == pytest.approx(0.01, abs=0.011)
    assert index.low_similarity is not None and index.median_similarity is not None
    assert index.low_similarity <= index.median_similarity
    monkeypatch.setattr(indexing, "SCALE_MIN", 5)
    measure_scale(classifier_row)
    assert FeatureIndex.objects.get().median_similarity is None


def test_what_has_no_small_picture_is_known_by_name(known: Any) -> None:
    known(1)
    known(2, picture=False)
    known(3, picture=False, dataset="Other")
    assert without_reference(dataset="Set") == ["NV2"]


def test_a_small_picture_is_small_and_clean() -> None:
    large = Image.effect_noise((1200, 900), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    file = io.BytesIO()
    large.save(file, "JPEG", exif=exif)
    small: SmallPicture = small_picture(file.getvalue())
    assert (small.width, small.height) == (256, 192)
    assert b"secret" not in small.jpeg and b"Exif" not in small.jpeg
    tiny = small_picture(made_photo("NV", 1, size=(120, 90)))
    assert (tiny.width, tiny.height) == (120, 90), "nothing is enlarged"
