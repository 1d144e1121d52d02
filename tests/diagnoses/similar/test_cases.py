"""Similar confirmed cases: which are shown, which are left out, permission, with and without pgvector."""

import math
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import delete_photo
from diagnoses.readings.models import Finding
from diagnoses.similar import search
from diagnoses.similar.cases import SimilarCases, State, case_vectors, in_words, similar_cases
from diagnoses.similar.models import DIMENSIONS, FeatureIndex, FeatureVector, ReferencePicture
from diagnoses.similar.projection import project


def direction(degrees: float) -> list[float]:
    """A vector of length 1 at this angle from the viewed photo."""
    angle = math.radians(degrees)
    return [math.cos(angle), math.sin(angle), *([0.0] * (DIMENSIONS - 2))]


@pytest.fixture(params=["pgvector", "numpy"])
def backend(request: pytest.FixtureRequest, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run all tests with both search methods."""
    if request.param == "pgvector":
        if not search.has_pgvector():
            pytest.skip("this PostgreSQL has no pgvector")
    else:
        monkeypatch.setattr(search, "has_pgvector", lambda: False)
    search._kept.clear()
    yield request.param
    assert bool(search._kept) == (request.param == "numpy"), "the other way was taken"


@pytest.fixture
def known(classifier_row: Classifier) -> Callable[..., KnownImage]:
    """A data-set image whose vector is `degrees` away."""

    def make(image: str, degrees: float, diagnosis: str = "NV", lesion: str = "", **fields: Any) -> KnownImage:
        sha256 = fields.pop("sha256", uuid.uuid5(uuid.NAMESPACE_URL, image).hex * 2)
        picture, _new = ReferencePicture.objects.get_or_create(
            original_sha256=sha256, defaults={"jpeg": b"pixels of " + image.encode(), "width": 200, "height": 150}
        )
        FeatureVector.objects.get_or_create(
            classifier=classifier_row, reference=picture, defaults={"values": direction(degrees)}
        )
        return KnownImage.objects.create(
            dataset=fields.pop("dataset", "Set"), image=image, diagnosis=diagnosis, lesion=lesion,
            original_sha256=sha256, content_hash=bytes(32),
        )  # fmt: skip

    return make


@pytest.fixture
def placed(classifier_row: Classifier, make_photo: Any, predict: Any) -> Callable[..., Photo]:
    """An analysed photo `degrees` away."""

    def make(owner: User, degrees: float, **fields: Any) -> Photo:
        photo: Photo = predict(make_photo(owner, **fields))
        FeatureVector.objects.create(classifier=classifier_row, photo=photo, values=direction(degrees))
        return photo

    return make


def confirm(photo: Photo, by: User, diagnosis: str = "MEL", source: str = "histopathology") -> None:
    Finding.objects.create(photo=photo, diagnosis=diagnosis, source=source, recorded_by=by)


def names(found: SimilarCases) -> list[str]:
    return [case.name or str(case.photo.pk if case.photo else "") for case in found.cases]


@pytest.mark.usefixtures("backend")
class TestWhichCases:
    def test_nearest_first_data_sets_and_confirmed_photos_together(
        self, patient: User, other_patient: User, clinician: User, placed: Any, known: Any
    ) -> None:
        photo = placed(patient, 0)
        known("far", 80)
        known("near", 10, diagnosis="BCC")
        confirmed = placed(other_patient, 30)
        confirm(confirmed, clinician)
        placed(other_patient, 5)  # without a finding
        found = similar_cases(photo=photo, by=clinician)
        assert found.state == State.READY
        assert names(found) == ["near", str(confirmed.pk), "far"]
        assert [case.truth.diagnosis for case in found.cases] == ["BCC", "MEL", "NV"]
        assert [case.truth.source for case in found.cases] == ["dataset", "histopathology", "dataset"]
        assert [round(math.degrees(math.acos(case.similarity))) for case in found.cases] == [10, 30, 80]
        assert found.searched == 3
        assert found.tally == [("BCC", 1), ("MEL", 1), ("NV", 1)]

    def test_no_more_than_asked_for(self, patient: User, clinician: User, placed: Any, known: Any) -> None:
        photo = placed(patient, 0)
        for number in range(9):
            known(f"image{number}", number + 1, diagnosis="NV" if number else "DF")
        found = similar_cases(photo=photo, by=clinician)
        assert names(found) == [f"image{number}" for number in range(6)]
        assert found.tally == [("NV", 5), ("DF", 1)]
        assert names(similar_cases(photo=photo, by=clinician, count=2)) == ["image0", "image1"]

    def test_nothing_of_the_same_patient_picture_or_lesion(
        self, patient: User, other_patient: User, clinician: User, placed: Any, known: Any
    ) -> None:
        itself = known("itself", 0, lesion="L1")
        known("itself in another set", 0, dataset="Later", lesion="L1", sha256=itself.original_sha256)
        known("same lesion", 1, lesion="L1")
        known("a lesion of that name elsewhere", 20, lesion="L1", dataset="Foreign")
        photo = placed(patient, 0, recognised_as=itself)
        own = placed(patient, 2)
        confirm(own, clinician)
        again = placed(other_patient, 3, original_sha256=photo.original_sha256)
        confirm(again, clinician)
        of_the_image = placed(other_patient, 3, recognised_as=itself)
        confirm(of_the_image, clinician)
        assert names(similar_cases(photo=photo, by=clinician)) == ["a lesion of that name elsewhere"]

    def test_vectors_of_another_classifier_are_no_neighbours(
        self, patient: User, clinician: User, placed: Any, known: Any, classifier_row: Classifier
    ) -> None:
        photo = placed(patient, 0)
        known("near", 10)
        retired = Classifier.objects.create(
            version="earlier", sha256="e" * 64, manifest={}, stage=Classifier.Stage.RETIRED
        )
        image = known("of the earlier one alone", 5)
        of_it = FeatureVector.objects.filter(reference__original_sha256=image.original_sha256)
        assert of_it.update(classifier=retired) == 1
        found = similar_cases(photo=photo, by=clinician)
        assert (names(found), found.searched) == (["near"], 1)

    def test_one_picture_of_a_lesion(self, patient: User, other_patient: User, clinician: User, placed: Any, known: Any,
    ) -> None:  # fmt: skip
        photo = placed(patient, 0)
        known("farther", 20, lesion="L7")
        nearest = known("nearer", 10, lesion="L7")
        known("nearer again", 10, dataset="Later", lesion="L7", sha256=nearest.original_sha256)
        upload = placed(other_patient, 15, recognised_as=nearest)
        confirm(upload, clinician)
        known("another", 40, lesion="L8")
        assert names(similar_cases(photo=photo, by=clinician)) == ["nearer again", "another"]

    def test_of_the_live_classifier_only(
        self, patient: User, clinician: User, placed: Any, known: Any, classifier_row: Classifier
    ) -> None:
        photo = placed(patient, 0)
        known("one", 10)
        elsewhere = Classifier.objects.create(version="old", sha256="d" * 64, manifest={})
        picture = ReferencePicture.objects.create(original_sha256="e" * 64, jpeg=b"x", width=1, height=1)
        FeatureVector.objects.create(classifier=elsewhere, reference=picture, values=direction(1))
        assert names(similar_cases(photo=photo, by=clinician)) == ["one"]

    def test_what_is_erased_is_gone_at_once(
        self, patient: User, other_patient: User, clinician: User, placed: Any, known: Any
    ) -> None:
        photo, confirmed = placed(patient, 0), placed(other_patient, 10)
        confirm(confirmed, clinician)
        image = known("image", 20)
        assert len(similar_cases(photo=photo, by=clinician).cases) == 2
        delete_photo(photo=confirmed, by=other_patient)
        assert not FeatureVector.objects.filter(photo=confirmed.pk).exists()
        assert names(similar_cases(photo=photo, by=clinician)) == ["image"]
        image.delete()
        assert similar_cases(photo=photo, by=clinician).state == State.NONE


class TestWithoutCases:
    def test_states(
        self, patient: User, clinician: User, placed: Any, known: Any, make_photo: Any, classifier_row: Classifier
    ) -> None:
        photo = placed(patient, 0)
        assert similar_cases(photo=photo, by=clinician).state == State.NONE
        known("image", 10)
        assert similar_cases(photo=make_photo(patient), by=clinician).state == State.PREPARING
        Classifier.objects.update(stage="retired")
        assert similar_cases(photo=photo, by=clinician).state == State.NONE

    def test_for_clinicians_only(self, patient: User, placed: Any) -> None:
        with pytest.raises(NotAllowed):
            similar_cases(photo=placed(patient, 0), by=patient)

    def test_words(self) -> None:
        index = FeatureIndex(median_similarity=0.9, low_similarity=0.6)
        words = [str(in_words(similarity, index)) for similarity in (0.95, 0.9, 0.7, 0.5)]
        assert words == ["Very similar", "Very similar", "Similar", "Only remotely similar"]
        assert in_words(0.9, None) == "" == in_words(0.9, FeatureIndex())


class TestPage:
    @pytest.fixture
    def photo(self, patient: User, other_patient: User, clinician: User, placed: Any, known: Any) -> Photo:
        known("ISIC_0000042", 10, diagnosis="BCC")
        confirm(placed(other_patient, 30), clinician)
        photo: Photo = placed(patient, 0)
        return photo

    def read(self, photo: Photo, user: User) -> str:
        client = Client()
        client.force_login(user)
        response = client.get(reverse("photo", args=[photo.pk]))
        assert response.status_code == 200
        return response.content.decode()

    def test_shows_a_clinician_the_cases_without_saying_whose(
        self, photo: Photo, clinician: User, other_patient: User
    ) -> None:
        page = self.read(photo, clinician)
        picture = ReferencePicture.objects.get()
        other = Photo.objects.get(owner=other_patient)
        assert "Similar confirmed cases" in page
        assert "ISIC_0000042 (Set)" in page
        assert reverse("reference-picture", args=[picture.pk]) in page
        assert reverse("photo-thumbnail", args=[other.pk]) in page
        assert other_patient.email not in page and other_patient.name not in page

    def test_shows_a_patient_nothing_of_it(self, photo: Photo, patient: User) -> None:
        page = self.read(photo, patient)
        assert "Similar" not in page and "ISIC_0000042" not in page
        assert "references" not in page

    def test_the_small_picture_is_for_clinicians(self, photo: Photo, patient: User, clinician: User) -> None:
        address = reverse("reference-picture", args=[ReferencePicture.objects.get().pk])
        client = Client()
        client.force_login(patient)
        assert client.get(address).status_code == 404
        client.force_login(clinician)
        response = client.get(address)
        assert response.content == b"pixels of ISIC_0000042"
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["Cache-Control"] == "private, no-store"


class TestVectors:
    def test_a_projection_keeps_angles(self) -> None:
        random = np.random.default_rng(5)
        base = random.normal(size=1792)
        for wanted in (0.99, 0.8, 0.3):
            other = random.normal(size=1792)
            other -= base * (other @ base) / (base @ base)
            mixed = wanted * base / np.linalg.norm(base) + math.sqrt(1 - wanted**2) * other / np.linalg.norm(other)
            assert float(project(base) @ project(mixed)) == pytest.approx(wanted, abs=0.2)
        assert float(np.linalg.norm(project(base))) == pytest.approx(1.0, abs=1e-6)
        assert np.array_equal(project(base), project(base * 3.0)) or np.allclose(project(base), project(base * 3.0))

    @pytest.mark.parametrize("features", [np.zeros(8), np.array([np.nan] * 8), np.ones((2, 8))])
    def test_what_points_nowhere_is_refused(self, features: Any) -> None:
        with pytest.raises(ValueError, match="Features"):
            project(features)

    def test_the_matrix_is_what_is_stored(self, known: Any, classifier_row: Classifier) -> None:
        for number in range(5):
            known(f"image{number}", 17 * number)
        keys, rows = search.read_matrix(case_vectors(classifier_row))
        stored = {row.pk: row.values for row in FeatureVector.objects.all()}
        assert list(keys) == sorted(stored)
        assert np.allclose(rows, [stored[key] for key in keys])
        assert rows.shape == (5, DIMENSIONS)
        empty_keys, empty_rows = search.read_matrix(FeatureVector.objects.none())
        assert len(empty_keys) == 0 and empty_rows.shape == (0, DIMENSIONS)
