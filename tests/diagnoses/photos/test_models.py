"""Constraints of the database, and recognition of pictures by content."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, models, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from diagnoses.classifiers.models import Classifier
from diagnoses.fields import bits_of
from diagnoses.photos.models import KnownImage, Photo, PhotoAssessment, PhotoHistory, Prediction
from diagnoses.photos.predictions import claim_photo
from diagnoses.readings.models import Finding
from recognition.inference.assessment import Decision
from recognition.sandbox.perceptual_hash import SAME_PICTURE_DISTANCE
from tests.diagnoses.answers import record_answer


def refused(model: Any, match: str, **changes: Any) -> None:
    with pytest.raises(IntegrityError, match=match), transaction.atomic():
        model.objects.update(**changes)


class TestOneLiveClassifier:
    def test_the_database_refuses_a_second(self, db: None) -> None:
        now = timezone.now()
        Classifier.objects.create(version="a", sha256="a" * 64, manifest={}, stage="live", promoted=now)
        with pytest.raises(IntegrityError, match="classifier_one_live"), transaction.atomic():
            Classifier.objects.create(version="b", sha256="b" * 64, manifest={}, stage="live", promoted=now)
        Classifier.objects.create(version="c", sha256="c" * 64, manifest={}, stage="candidate")
        Classifier.objects.create(version="d", sha256="d" * 64, manifest={}, stage="candidate")
        refused(Classifier.objects.filter(stage="candidate").model, "classifier_one_live", stage="live", promoted=now)

    def test_a_live_one_has_a_date_and_a_stage_is_known(self, db: None) -> None:
        Classifier.objects.create(version="a", sha256="a" * 64, manifest={})
        refused(Classifier, "classifier_live_has_date", stage="live")
        refused(Classifier, "classifier_stage_known", stage="broken")


class TestPhotoStates:
    @pytest.mark.parametrize(
        ("changes", "constraint"),
        [
            ({"status": "predicting"}, "photo_lease_while_predicting"),
            ({"lease": "00000000-0000-0000-0000-000000000001"}, "photo_lease_while_predicting"),
            ({"status": "failed"}, "photo_failed_with_reason"),
            ({"failure_code": "x"}, "photo_failed_with_reason"),
            ({"status": "predicted"}, "photo_predicted_has_result"),
            ({"status": "odd"}, "photo_status_known"),
            ({"confidence": 1.1}, "photo_confidence_is_share"),
            ({"decision": "fine"}, "photo_decision_known"),
        ],
    )
    def test_the_impossible_is_refused(
        self, patient: User, make_photo: Any, changes: dict[str, Any], constraint: str
    ) -> None:
        make_photo(patient)
        refused(Photo, constraint, **changes)

    def test_the_words_and_the_querysets_agree(
        self, patient: User, make_photo: Any, predict: Any, classifier_row: Classifier
    ) -> None:
        waiting, working, done = make_photo(patient), make_photo(patient), predict(make_photo(patient))
        claim_photo(working.pk)
        for photo in Photo.objects.all():
            assert photo.is_waiting == Photo.objects.waiting().filter(pk=photo.pk).exists()
        assert set(Photo.objects.waiting()) == {waiting, working}
        assert not done.is_waiting

    def test_one_key_one_photo_of_one_person(self, patient: User, other_patient: User, make_photo: Any) -> None:
        make_photo(patient, idempotency_key="k")
        make_photo(other_patient, idempotency_key="k")
        with pytest.raises(IntegrityError, match="photo_idempotency"), transaction.atomic():
            make_photo(patient, idempotency_key="k")


class TestImmutable:
    @pytest.fixture
    def written(self, patient: User, clinician: User, make_photo: Any, predict: Any) -> Photo:
        photo: Photo = predict(make_photo(patient))
        PhotoHistory.objects.create(photo=photo, itch=True)
        Finding.objects.create(photo=photo, diagnosis="NV", source="clinician", recorded_by=clinician)
        audit.record(actor=clinician, action=AuditEntry.Action.PHOTO_VIEWED, subject=f"photo:{photo.pk}")
        return photo

    @pytest.mark.parametrize(
        ("model", "changes"),
        [
            (Prediction, {"outputs": {}}),
            (Prediction, {"heatmap": "another.png"}),
            (PhotoAssessment, {"confidence": 0.5}),
            (PhotoAssessment, {"diagnosis": "NV"}),
            (PhotoAssessment, {"decision": "soon", "assessment": {"decision": "soon"}}),
            (PhotoHistory, {"itch": False}),
            (Finding, {"diagnosis": "MEL"}),
            (Finding, {"note": "changed my mind"}),
            (AuditEntry, {"actor": ""}),
            (AuditEntry, {"detail": {}}),
        ],
    )
    def test_a_written_row_stays_as_it_is(self, written: Photo, model: Any, changes: dict[str, Any]) -> None:
        before = list(model.objects.values())
        assert before
        with pytest.raises(DatabaseError), transaction.atomic():
            model.objects.update(**changes)
        assert list(model.objects.values()) == before

    def test_the_audit_log_is_not_deleted(self, written: Photo) -> None:
        with pytest.raises(DatabaseError), transaction.atomic():
            AuditEntry.objects.all().delete()
        assert AuditEntry.objects.exists()

    @pytest.mark.parametrize(
        "changes",
        [
            {"confidence": 1.5}, {"malignant_score": -0.1}, {"probabilities": [1.0]}, {"picture_alone": [1.0]},
            {"image_type": "dermoscopic"}, {"picture_decision": "soon"}, {"contradicted": True},
            {"image_type": "dermoscopic", "image_type_source": "told", "case_mix": {}, "picture_alone": [0.125] * 8},
        ],
    )  # fmt: skip
    def test_an_assessment_is_eight_shares_with_all_or_nothing_of_the_kind(
        self, patient: User, make_photo: Any, classifier_row: Classifier, changes: dict[str, Any]
    ) -> None:
        refused_assessment(make_photo(patient), classifier_row, "assessment_", changes)


def refused_assessment(photo: Photo, classifier: Classifier, match: str, changes: dict[str, Any]) -> None:
    """The database takes the row without these changes, and refuses it with them."""
    prediction = Prediction.objects.create(photo=photo, classifier=classifier, runtime="t", duration_ms=1)
    values: dict[str, Any] = {
        "photo": photo, "prediction": prediction, "diagnosis": "NV", "probabilities": [0.125] * 8, "confidence": 0.125,
        "malignant_score": 0.375,
    }  # fmt: skip
    PhotoAssessment.objects.create(**values)
    with pytest.raises(IntegrityError, match=match), transaction.atomic():
        PhotoAssessment.objects.create(**{**values, **changes})


class TestAssessments:
    @pytest.mark.parametrize(
        ("changes", "constraint"),
        [
            ({"decision": "soon"}, "assessment_assessed_whole"),
            ({"score": 3}, "assessment_assessed_whole"),
            ({"assessment": {"decision": "soon"}}, "assessment_assessed_whole"),
            ({"decision": "soon", "assessment": {"decision": "urgent"}}, "assessment_assessed_whole"),
            ({"decision": "soon", "assessment": {}}, "assessment_assessed_whole"),
            ({"decision": "fine", "assessment": {"decision": "fine"}}, "assessment_assessed_whole"),
            ({"decision": "soon", "assessment": {"decision": "soon"}, "score": 11}, "assessment_score_one_to_ten"),
            (
                {"decision": "not_assessed", "assessment": {"decision": "not_assessed"}, "score": 1},
                "assessment_score_one_to_ten",
            ),
        ],
    )
    def test_half_an_assessment_is_refused(
        self, patient: User, make_photo: Any, classifier_row: Classifier, changes: dict[str, Any], constraint: str
    ) -> None:
        refused_assessment(make_photo(patient), classifier_row, constraint, changes)

    @pytest.mark.parametrize("decision", list(Decision))
    def test_an_assessment_comes_back_as_it_went_in(
        self, patient: User, make_photo: Any, predict: Any, assess: Any, decision: Decision
    ) -> None:
        codes = ["unfamiliar"] if decision is Decision.NOT_ASSESSED else ["uncertain"]
        score = None if decision is Decision.NOT_ASSESSED else 7
        made = assess(decision, *codes, score=score, prediction_set=("BCC", "MEL"))
        photo = predict(make_photo(patient), assessment=made)
        row = PhotoAssessment.objects.get()
        assert row.assessed == made
        assert (row.decision, row.score, row.prediction_set) == (decision, score, ("BCC", "MEL"))
        assert photo.decision == decision
        assert row.is_suspicious == (decision in {Decision.URGENT, Decision.SOON})
        assert row.is_refused == photo.is_refused == (decision is Decision.NOT_ASSESSED)

    def test_rows_from_before_there_were_decisions_go_by_their_threshold(
        self, patient: User, make_photo: Any, predict: Any, classifier_row: Classifier
    ) -> None:
        predict(make_photo(patient), probabilities=[0.3, 0.6, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01])  # malignant: 0.33
        for threshold, suspicious in ((0.3, True), (0.4, False)):
            manifest = {"operating_points": [{"name": "balanced", "threshold": threshold}]}
            Classifier.objects.update(manifest=manifest)
            row = PhotoAssessment.objects.get()
            assert row.assessed is None
            assert (row.is_suspicious, row.is_refused, row.prediction_set) == (
                suspicious, False, (),
            )  # fmt: skip

    def test_a_second_prediction_brings_its_own_decision(
        self, patient: User, clinician: User, make_photo: Any, predict: Any, assess: Any
    ) -> None:
        photo = predict(make_photo(patient), assessment=assess("soon"))
        first = PhotoAssessment.objects.get()
        other = Classifier.objects.create(version="other", sha256="d" * 64, manifest={})
        Photo.objects.update(status=Photo.Status.QUEUED, attempts=0)
        claim = claim_photo(photo.pk)
        assert claim is not None
        record_answer(claim, other, [0.125] * 8, assess("not_assessed", "too_dark"))
        photo.refresh_from_db()
        first.refresh_from_db()
        assert (photo.decision, first.decision) == ("not_assessed", "soon")


class TestRecognition:
    def known(self, name: str, content: int, sha: str = "0") -> KnownImage:
        return KnownImage.objects.create(
            dataset="S", image=name, diagnosis="NV", original_sha256=sha * 64, content_hash=content.to_bytes(32, "big")
        )

    def recognise(self, content: int, sha: str = "f") -> KnownImage | None:
        return KnownImage.objects.recognise(
            original_sha256=sha * 64, content_hash=content.to_bytes(32, "big"), max_distance=SAME_PICTURE_DISTANCE
        )

    def test_by_its_bytes_first(self, db: None) -> None:
        self.known("near", 0)
        same = self.known("same", (1 << 256) - 1, sha="a")
        assert self.recognise(0, sha="a") == same

    def test_up_to_the_distance_and_not_one_bit_further(self, db: None) -> None:
        image = self.known("a", 0)
        assert self.recognise((1 << SAME_PICTURE_DISTANCE) - 1) == image
        assert self.recognise((1 << (SAME_PICTURE_DISTANCE + 1)) - 1) is None

    def test_the_nearest_counts(self, db: None) -> None:
        self.known("far", 0b1111)
        near = self.known("near", 0b1)
        assert self.recognise(0) == near

    def test_the_hash_survives_the_database(self, db: None) -> None:
        for content in (0, 1, 1 << 255, (1 << 256) - 1, 0x1234567890ABCDEF):
            image = self.known(str(content), content)
            image.refresh_from_db()
            assert image.content_hash == content.to_bytes(32, "big")
        with pytest.raises(ValueError, match="32 bytes"):
            bits_of(b"short")


def test_no_image_field_anywhere() -> None:
    """`ImageField` accepts files that cannot be decoded. Here the sandbox decides (R6)."""
    own = [model for model in apps.get_models() if model._meta.app_label in {"accounts", "diagnoses", "training"}]
    assert len(own) >= 10
    assert not [f for model in own for f in model._meta.get_fields() if isinstance(f, models.ImageField)]


def test_constraints_have_names_one_can_read(db: None) -> None:
    for model in (Photo, Classifier, Prediction, PhotoAssessment, Finding):
        for constraint in model._meta.constraints:
            assert re.fullmatch(r"[a-z_]+", constraint.name)
