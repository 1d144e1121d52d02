"""Submitting, retrying and deleting photos: accepted photos are never lost, deleted ones leave nothing."""

import hashlib
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry, Purpose, User
from accounts.permissions import NotAllowed
from accounts.services import ConsentRequired, give_consent, publish_consent_text, withdraw_consent
from diagnoses.lesions.models import Lesion
from diagnoses.photos import queue, recovery
from diagnoses.photos import services as photos_module
from diagnoses.photos.files import finish_erasure
from diagnoses.photos.models import ErasedFile, Photo, Prediction
from diagnoses.photos.predictions import claim_photo, fail_photo
from diagnoses.photos.recovery import sweep
from diagnoses.photos.services import (
    IdempotencyConflict,
    PhotoMetadata,
    delete_photo,
    retry_photo,
    submit_photo,
    view_photo,
)
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding
from recognition.sandbox import PhotoRejected
from recognition.taxonomy import IMAGE_TYPES


def stored(name: str | None) -> bytes:
    with default_storage.open(name or "") as file:
        return bytes(file.read())


def everything_stored() -> set[str]:
    """Every file of every photo on the storage."""
    found: set[str] = set()
    folders = ["photos"]
    while folders:
        folder = folders.pop()
        try:
            inner, files = default_storage.listdir(folder)
        except FileNotFoundError:
            continue
        folders += [f"{folder}/{name}" for name in inner]
        found |= {f"{folder}/{name}" for name in files}
    return found


@pytest.fixture
def files_before(db: None) -> set[str]:
    """The files of other tests on the storage."""
    return everything_stored()


class TestSubmit:
    def test_bytes_checksum_and_row_are_there(self, patient: User, picture: Any) -> None:
        data = picture()
        photo = submit_photo(owner=patient, data=data, file_name="../../etc/pass\nwd.jpg")
        photo.refresh_from_db()
        assert hashlib.sha256(stored(photo.image.name)).hexdigest() == photo.sha256
        assert photo.original_sha256 == hashlib.sha256(data).hexdigest()
        assert stored(photo.thumbnail.name).startswith(b"\xff\xd8")
        assert photo.status == "queued"
        # The server chooses the stored name; the shown name is harmless.
        assert str(photo.image.name) == f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}/photo.jpg"
        assert "/" not in photo.shown_name and "\n" not in photo.shown_name

    def test_what_is_refused_leaves_nothing(self, patient: User, files_before: set[str]) -> None:
        with pytest.raises(PhotoRejected):
            submit_photo(owner=patient, data=b"no picture")
        assert not Photo.objects.exists()
        assert everything_stored() == files_before

    def test_switched_off_accounts_and_others_lesions(
        self, patient: User, other_patient: User, deactivated: User, picture: Any, files_before: set[str]
    ) -> None:
        with pytest.raises(NotAllowed):
            submit_photo(owner=deactivated, data=picture())
        theirs = Lesion.objects.create(owner=other_patient, name="theirs")
        with pytest.raises(NotAllowed):
            submit_photo(owner=patient, data=picture(), metadata=PhotoMetadata(lesion=theirs))
        assert not Photo.objects.exists()
        assert everything_stored() == files_before

    def test_nothing_is_taken_without_consent(self, silent: User, picture: Any, files_before: set[str]) -> None:
        with pytest.raises(ConsentRequired):
            submit_photo(owner=silent, data=picture())
        assert not Photo.objects.exists()
        assert everything_stored() == files_before
        give_consent(user=silent, purpose=Purpose.DIAGNOSIS, by=silent)
        assert submit_photo(owner=silent, data=picture()).owner == silent

    def test_consent_is_to_the_text_in_force(self, patient: User, administrator: User, picture: Any) -> None:
        publish_consent_text(purpose=Purpose.DIAGNOSIS, text_kk="a", text_ru="b", text_en="c", by=administrator)
        with pytest.raises(ConsentRequired):
            submit_photo(owner=patient, data=picture())

    def test_a_key_opens_nothing_without_consent(self, patient: User, picture: Any) -> None:
        submit_photo(owner=patient, data=picture(), idempotency_key="k")
        withdraw_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        with pytest.raises(ConsentRequired):
            submit_photo(owner=patient, data=picture(), idempotency_key="k")

    def test_only_patients_are_asked(self, clinician: User, picture: Any) -> None:
        assert submit_photo(owner=clinician, data=picture()).owner == clinician

    def test_a_failure_before_the_commit_leaves_no_file(
        self, patient: User, picture: Any, files_before: set[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def surprise(photo: Photo) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(photos_module, "recognise", surprise)
        with pytest.raises(ZeroDivisionError):
            submit_photo(owner=patient, data=picture())
        assert not Photo.objects.exists()
        assert everything_stored() == files_before

    @pytest.mark.parametrize("error", [OperationalError("gone"), ZeroDivisionError()])
    def test_a_failure_after_the_commit_loses_no_file(
        self, transactional_db: None, patient: User, picture: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """R1: after the commit of the row, no error may delete its files."""

        def surprise(*args: Any, **kwargs: Any) -> bool:
            raise error

        monkeypatch.setattr(photos_module, "publish_photos", surprise)
        photo = submit_photo(owner=patient, data=picture())
        assert hashlib.sha256(stored(Photo.objects.get().image.name)).hexdigest() == photo.sha256

    def test_a_connection_lost_at_the_commit_keeps_the_files(
        self, transactional_db: None, patient: User, picture: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is unknown whether the commit succeeded; in this test it did."""
        original = Photo.save

        def save(self: Photo, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            connection.connection.commit()
            raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(Photo, "save", save)
        with pytest.raises(OperationalError):
            submit_photo(owner=patient, data=picture())
        photo = Photo.objects.get()
        assert hashlib.sha256(stored(photo.image.name)).hexdigest() == photo.sha256


class TestImageType:
    @pytest.mark.parametrize("image_type", ["", *IMAGE_TYPES])
    def test_the_kind_of_picture_is_stored(self, patient: User, picture: Any, image_type: str) -> None:
        photo = submit_photo(owner=patient, data=picture(), metadata=PhotoMetadata(image_type=image_type))
        photo.refresh_from_db()
        assert photo.image_type == image_type

    @pytest.mark.parametrize("image_type", ["clinical", "Dermoscopic", "RCM: macroscopic", "x" * 1000])
    def test_an_unknown_kind_is_refused_before_anything_is_stored(
        self, patient: User, picture: Any, image_type: str
    ) -> None:
        files = everything_stored()
        with pytest.raises(ValidationError) as refused:
            submit_photo(owner=patient, data=picture(), metadata=PhotoMetadata(image_type=image_type))
        assert set(refused.value.message_dict) == {"image_type"}
        assert not Photo.objects.exists()
        assert everything_stored() == files


class TestIdempotency:
    def test_one_key_one_photo(self, patient: User, picture: Any) -> None:
        first = submit_photo(owner=patient, data=picture(1), idempotency_key="k")
        assert submit_photo(owner=patient, data=picture(1), idempotency_key="k") == first
        with pytest.raises(IdempotencyConflict):
            submit_photo(owner=patient, data=picture(2), idempotency_key="k")
        lesion = Lesion.objects.create(owner=patient, name="left arm")
        others = [PhotoMetadata(age_approx=40), PhotoMetadata(sex="male"), PhotoMetadata(lesion=lesion)]
        others += [PhotoMetadata(anatom_site_general="head/neck"), PhotoMetadata(image_type="dermoscopic")]
        for other in others:
            with pytest.raises(IdempotencyConflict):
                submit_photo(owner=patient, data=picture(1), idempotency_key="k", metadata=other)
        assert Photo.objects.count() == 1
        told = PhotoMetadata(
            lesion=lesion, age_approx=40, sex="male", anatom_site_general="head/neck", image_type="clinical: close-up"
        )
        second = submit_photo(owner=patient, data=picture(1), idempotency_key="l", metadata=told)
        assert submit_photo(owner=patient, data=picture(1), idempotency_key="l", metadata=told) == second

    def test_a_race_has_one_winner_and_leaves_no_file_behind(
        self, transactional_db: None, redis_server: Any, patient: User, picture: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Four requests pass the lookup before one of them inserts. The constraint decides."""
        before = everything_stored()
        together = threading.Barrier(4)
        original = photos_module.recognise

        def recognise(photo: Photo) -> Any:
            together.wait(30)
            return original(photo)

        monkeypatch.setattr(photos_module, "recognise", recognise)
        answers: list[Any] = []

        def upload() -> None:
            try:
                answers.append(submit_photo(owner=patient, data=picture(), idempotency_key="race").pk)
            except Exception as error:
                answers.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=upload) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        photo = Photo.objects.get()
        assert answers == [photo.pk] * 4
        assert everything_stored() - before == {photo.image.name, photo.thumbnail.name}


class TestOutbox:
    """R1, R2: the row is the outbox; the sweep sends what the broker does not have."""

    def test_a_healthy_broker_gets_the_message_at_once(
        self, transactional_db: None, redis_server: Any, patient: User, picture: Any
    ) -> None:
        photo = submit_photo(owner=patient, data=picture())
        photo.refresh_from_db()
        assert photo.published is not None
        assert queue.queue_depth() >= 1

    def test_the_sweep_sends_what_a_stopped_or_frozen_broker_did_not_take(
        self, transactional_db: None, redis_server: Any, patient: User, picture: Any, classifier_row: Any
    ) -> None:
        redis_server.stop()
        lost = submit_photo(owner=patient, data=picture(1))
        redis_server.make_healthy()
        queue.forget_connections()
        redis_server.freeze()
        frozen = submit_photo(owner=patient, data=picture(2))
        redis_server.make_healthy()
        queue.forget_connections()
        assert not Photo.objects.filter(published__isnull=False).exists()

        assert sweep().published == 2
        assert Photo.objects.filter(pk__in=[lost.pk, frozen.pk], published__isnull=False).count() == 2
        assert sweep().published == 0, "what the broker has is not sent again"

    def test_messages_the_broker_lost_are_sent_again_and_only_those(
        self, transactional_db: None, redis_server: Any, patient: User, make_photo: Any, classifier_row: Any,
        settings: Any,
    ) -> None:  # fmt: skip
        long_ago = timezone.now() - settings.REPUBLISH_AFTER * 2
        for _ in range(5):
            make_photo(patient, queued=long_ago)
        assert sweep().published == 5
        Photo.objects.update(published=long_ago)
        assert sweep().published == 0, "five wait, five messages wait: a long queue is not a lost one"
        redis_server.flush()
        assert sweep().published == 5
        assert queue.queue_depth() >= 5, "at least once is the promise of a message; the lease makes it once"

    def test_what_has_waited_longest_is_sent_first(
        self, transactional_db: None, redis_server: Any, patient: User, make_photo: Any, classifier_row: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(recovery, "BATCH", 1)
        hours = [make_photo(patient, queued=timezone.now() - timedelta(hours=ago)) for ago in (2, 3, 1)]
        assert sweep().published == 1
        assert Photo.objects.get(published__isnull=False) == hours[1]

    def test_a_broker_that_is_down_costs_the_sweep_nothing_but_this(
        self, transactional_db: None, redis_server: Any, patient: User, make_photo: Any, classifier_row: Any
    ) -> None:
        make_photo(patient)
        redis_server.stop()
        assert sweep().published == 0
        assert Photo.objects.get().published is None

    def test_without_a_classifier_nothing_is_sent(
        self, transactional_db: None, redis_server: Any, patient: User, make_photo: Any
    ) -> None:
        make_photo(patient)
        assert sweep().published == 0


class TestRetry:
    def test_only_failed_photos_and_by_those_who_may(
        self, patient: User, other_patient: User, clinician: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        assert retry_photo(photo=photo, by=patient) is False
        claim = claim_photo(photo.pk)
        assert claim is not None
        assert retry_photo(photo=photo, by=patient) is False, "a photo being analysed is not taken away"
        fail_photo(claim=claim, code="worker_lost")
        with pytest.raises(NotAllowed):
            retry_photo(photo=photo, by=other_patient)
        assert retry_photo(photo=photo, by=clinician) is True
        photo.refresh_from_db()
        assert (photo.status, photo.attempts, photo.failure_code) == ("queued", 0, "")


class TestDeletion:
    def test_takes_every_row_and_every_file(
        self, transactional_db: None, redis_server: Any, patient: User, clinician: User, picture: Any, predict: Any
    ) -> None:
        before = everything_stored()
        photo = predict(submit_photo(owner=patient, data=picture()))
        record_finding(photo=photo, by=clinician, diagnosis="NV", source="clinician", note="looks fine")
        assert len(everything_stored() - before) == 3
        delete_photo(photo=photo, by=patient)
        assert not (Photo.objects.exists() or Prediction.objects.exists() or Finding.objects.exists())
        assert everything_stored() == before
        entry = AuditEntry.objects.get(action=AuditEntry.Action.PHOTO_DELETED)
        assert (entry.actor, entry.subject) == (str(patient.pk), f"photo:{photo.pk}")
        assert patient.email not in str(entry.detail)

    def test_nobody_but_the_owner(
        self, patient: User, other_patient: User, clinician: User, administrator: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        for user in (other_patient, clinician, administrator):
            with pytest.raises(NotAllowed):
                delete_photo(photo=photo, by=user)
        assert stored(photo.image.name)

    def test_a_storage_that_is_down_is_asked_again_by_the_sweep(
        self, transactional_db: None, redis_server: Any, patient: User, make_photo: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        photo = make_photo(patient)

        def down(name: str) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(default_storage._wrapped, "delete", down)  # type: ignore[attr-defined]  # the lazy object's inside
            delete_photo(photo=photo, by=patient)
            assert finish_erasure() == 0
        assert not Photo.objects.exists()
        assert stored(photo.image.name), "still there, and remembered"
        assert ErasedFile.objects.count() == 1
        assert sweep().erased == 1
        assert not default_storage.exists(photo.image.name)

    def test_a_deletion_rolled_back_deletes_no_file(
        self, transactional_db: None, patient: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            delete_photo(photo=photo, by=patient)
            raise ZeroDivisionError
        assert stored(Photo.objects.get().image.name)


class TestLooks:
    def test_a_look_is_written_down_with_who_and_what(
        self, patient: User, other_patient: User, clinician: User, deactivated: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        view_photo(photo=photo, by=patient)
        assert not AuditEntry.objects.exists()
        view_photo(photo=photo, by=clinician)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.subject) == ("photo-viewed", str(clinician.pk), f"photo:{photo.pk}")
        for user in (other_patient, deactivated):
            with pytest.raises(NotAllowed):
                view_photo(photo=photo, by=user)
        assert AuditEntry.objects.count() == 1


class TestFindings:
    def test_only_clinicians_and_only_known_words(
        self, patient: User, clinician: User, deactivated: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        for user in (patient, deactivated):
            with pytest.raises(NotAllowed):
                record_finding(photo=photo, by=user, diagnosis="NV", source="clinician")
        for words in ({"diagnosis": "UNK", "source": "clinician"}, {"diagnosis": "NV", "source": "dataset"}):
            with pytest.raises(ValueError, match="is not"):
                record_finding(photo=photo, by=clinician, **words)
        assert not Finding.objects.exists()

    def test_the_newest_histopathology_counts_then_the_newest_clinician(
        self, patient: User, clinician: User, make_photo: Any
    ) -> None:
        photo = make_photo(patient)
        said = [("NV", "clinician"), ("BKL", "clinician"), ("MEL", "histopathology"), ("NV", "clinician")]
        expected = ["NV", "BKL", "MEL", "MEL"]
        for (diagnosis, source), truth in zip(said, expected, strict=True):
            record_finding(photo=photo, by=clinician, diagnosis=diagnosis, source=source)
            known = Photo.objects.get(pk=photo.pk).ground_truth
            assert known is not None and known.diagnosis == truth


def test_visibility_has_one_rule(
    patient: User, other_patient: User, clinician: User, administrator: User, deactivated: User, make_photo: Any
) -> None:
    mine, theirs = make_photo(patient), make_photo(other_patient)
    seen = {
        user: set(Photo.objects.visible_to(user))
        for user in (patient, other_patient, clinician, administrator, deactivated)
    }
    assert seen == {
        patient: {mine}, other_patient: {theirs}, clinician: {mine, theirs}, administrator: {mine, theirs},
        deactivated: set(),
    }  # fmt: skip
    assert not Photo.objects.visible_to(User(pk=uuid4().int % 10**6 + 10**6, is_active=False)).exists()
