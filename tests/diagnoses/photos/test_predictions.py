"""Claims, leases and results: a lease in the database decides which worker may write (R3 to R5)."""

import threading
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos import predictions
from diagnoses.photos.models import Photo, PhotoAssessment, Prediction
from diagnoses.photos.predictions import MAX_ATTEMPTS, Claim, claim_photo, fail_photo, record_prediction, release_photo
from diagnoses.photos.recovery import sweep
from recognition.taxonomy import CODES
from tests.diagnoses.answers import PLAIN, made_outputs

EVEN = [0.125] * 8
NEVUS = [0.01, 0.93, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]


def claimed(photo: Photo) -> Claim:
    claim = claim_photo(photo.pk)
    assert claim is not None
    return claim


def write(claim: Claim, classifier: Classifier, probabilities: list[float] = NEVUS) -> PhotoAssessment | None:
    return record_prediction(
        claim=claim, classifier=classifier, outputs=made_outputs(probabilities), assessor=PLAIN, heatmap_png=b"png",
        runtime="t", duration_ms=1,
    )  # fmt: skip


def state(photo: Photo) -> str:
    return str(Photo.objects.values_list("status", flat=True).get(pk=photo.pk))


class TestClaims:
    def test_of_many_at_once_one_wins(self, transactional_db: None, patient: User, make_photo: Any) -> None:
        photo = make_photo(patient)
        together = threading.Barrier(6)
        claims: list[Claim | None] = []

        def claim() -> None:
            try:
                together.wait(30)
                claims.append(claim_photo(photo.pk))
            finally:
                connection.close()

        threads = [threading.Thread(target=claim) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(claims) == 6
        winners = [claim for claim in claims if claim is not None]
        assert len(winners) == 1
        photo.refresh_from_db()
        assert (photo.status, photo.lease, photo.attempts) == ("predicting", winners[0].lease, 1)

    def test_what_is_not_queued_or_not_there_is_not_claimed(
        self, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        assert claim_photo(uuid.uuid4()) is None
        photo = make_photo(patient)
        claim = claimed(photo)
        assert claim_photo(photo.pk) is None
        write(claim, classifier_row)
        assert claim_photo(photo.pk) is None


class TestResults:
    def test_a_result_is_written_whole(self, patient: User, make_photo: Any, classifier_row: Classifier) -> None:
        photo = make_photo(patient)
        assessment = write(claimed(photo), classifier_row)
        photo.refresh_from_db()
        assert assessment is not None and photo.assessment == assessment
        assert (photo.status, photo.lease, photo.lease_expires) == ("predicted", None, None)
        assert (photo.diagnosis, photo.confidence) == (assessment.diagnosis, assessment.confidence)
        assert (photo.diagnosis, photo.confidence) == ("NV", pytest.approx(0.93))
        assert photo.malignant_score == pytest.approx(0.03)
        assert assessment.by_code == pytest.approx(dict(zip(CODES, NEVUS, strict=True)))

    def test_every_code_is_decoded_in_isic_order(
        self, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        for index, code in enumerate(["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]):
            probabilities = [0.05] * 8
            probabilities[index] = 0.65
            assessment = write(claimed(make_photo(patient)), classifier_row, probabilities)
            assert assessment is not None and assessment.diagnosis == code

    @pytest.mark.parametrize("wrong", [[1.0], EVEN[:7], [*EVEN, 0.0], [float("nan")] * 8, [float("inf"), *EVEN[1:]]])
    def test_what_is_not_eight_numbers_is_refused(
        self, patient: User, make_photo: Any, classifier_row: Classifier, wrong: list[float]
    ) -> None:
        photo = make_photo(patient)
        with pytest.raises(ValueError, match="8 finite numbers"):
            write(claimed(photo), classifier_row, wrong)
        assert not Prediction.objects.exists()

    def test_a_late_writer_changes_nothing_and_leaves_no_file(
        self, transactional_db: None, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        photo = make_photo(patient)
        late = claimed(photo)
        release_photo(claim=late, code="worker_lost")
        current = claimed(photo)
        folder = f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}"
        before = set(default_storage.listdir(folder)[1])

        assert write(late, classifier_row) is None
        assert fail_photo(claim=late, code="prediction_failed") is False
        assert release_photo(claim=late, code="prediction_failed") is False
        assert set(default_storage.listdir(folder)[1]) == before
        photo.refresh_from_db()
        assert (photo.status, photo.lease) == ("predicting", current.lease)

        assert write(current, classifier_row, EVEN) is not None
        assert write(late, classifier_row) is None
        assert Prediction.objects.count() == 1

    def test_a_deleted_photo_gets_no_result(
        self, transactional_db: None, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        photo = make_photo(patient)
        claim = claimed(photo)
        Photo.objects.all().delete()
        assert write(claim, classifier_row) is None
        folder = f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}"
        assert not any(name.startswith("heatmap") for name in default_storage.listdir(folder)[1])

    def test_a_fault_after_the_commit_leaves_the_heatmap_the_row_names(
        self, transactional_db: None, patient: User, make_photo: Any, classifier_row: Classifier, monkeypatch: Any
    ) -> None:
        class StruckAfterCommit(transaction.Atomic):
            def __exit__(self, *raised: Any) -> None:
                super().__exit__(*raised)
                raise SoftTimeLimitExceeded

        photo = make_photo(patient)
        claim = claimed(photo)
        with monkeypatch.context() as struck, pytest.raises(SoftTimeLimitExceeded):
            struck.setattr(
                predictions, "transaction", SimpleNamespace(atomic=lambda: StruckAfterCommit(None, True, False))
            )
            write(claim, classifier_row)
        heatmap = Prediction.objects.get().heatmap.name
        assert heatmap
        assert default_storage.exists(heatmap)

    def test_a_fault_before_the_commit_leaves_no_heatmap(
        self, patient: User, make_photo: Any, classifier_row: Classifier, monkeypatch: Any
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise SoftTimeLimitExceeded

        photo = make_photo(patient)
        claim = claimed(photo)
        with monkeypatch.context() as struck, pytest.raises(SoftTimeLimitExceeded):
            struck.setattr(Photo, "save", fail)
            write(claim, classifier_row)
        folder = f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}"
        assert not any(name.startswith("heatmap") for name in default_storage.listdir(folder)[1])

    def test_one_prediction_a_classifier_however_often_it_is_asked(
        self, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        photo = make_photo(patient)
        first = write(claimed(photo), classifier_row)
        Photo.objects.filter(pk=photo.pk).update(status="queued")
        again = write(claimed(photo), classifier_row, EVEN)
        assert again == first
        assert Prediction.objects.count() == 1


class TestAttempts:
    def test_three_then_failed_with_the_reason(self, patient: User, make_photo: Any) -> None:
        photo = make_photo(patient)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            claim = claimed(photo)
            assert claim.attempt == attempt
            assert release_photo(claim=claim, code="prediction_timeout")
            assert state(photo) == ("queued" if attempt < MAX_ATTEMPTS else "failed")
        photo.refresh_from_db()
        assert (photo.failure_code, photo.lease) == ("prediction_timeout", None)
        assert claim_photo(photo.pk) is None

    def test_the_workers_own_fault_costs_no_attempt(self, patient: User, make_photo: Any) -> None:
        photo = make_photo(patient)
        for _ in range(MAX_ATTEMPTS + 2):
            assert release_photo(claim=claimed(photo), code="worker_lost", counts=False)
        assert state(photo) == "queued"

    def test_the_sweep_takes_back_what_a_lost_worker_held(self, patient: User, make_photo: Any) -> None:
        photo, healthy = make_photo(patient), make_photo(patient)
        claimed(healthy)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            claimed(photo)
            Photo.objects.filter(pk=photo.pk).update(lease_expires=timezone.now() - timedelta(seconds=1))
            report = sweep()
            last = attempt == MAX_ATTEMPTS
            assert (report.requeued, report.given_up) == ((0, 1) if last else (1, 0))
        photo.refresh_from_db()
        assert (photo.status, photo.failure_code) == ("failed", "worker_lost")
        assert state(healthy) == "predicting", "a lease that runs is left alone"

    def test_the_sweep_leaves_a_lease_that_was_just_renewed_or_ended(
        self, patient: User, make_photo: Any, classifier_row: Classifier
    ) -> None:
        photo = make_photo(patient)
        claim = claimed(photo)
        Photo.objects.filter(pk=photo.pk).update(lease_expires=timezone.now() - timedelta(seconds=1))
        assert write(claim, classifier_row) is not None, "late but still holding the lease: the result counts"
        report = sweep()
        assert (report.requeued, report.given_up) == (0, 0)
        assert state(photo) == "predicted"
