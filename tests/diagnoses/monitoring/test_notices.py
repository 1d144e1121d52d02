"""The operator notices on the admin's first page, most urgent first, and the page without urgent notices."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry, Notification, User
from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring import notices
from diagnoses.monitoring.backups import record_backup
from diagnoses.monitoring.models import BackupRecord
from diagnoses.monitoring.notices import Level, Notice, classifiers, machine, people, photos, registry, reviews
from diagnoses.photos.models import ErasedFile, Photo, Worker
from diagnoses.similar.models import FeatureIndex


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the broker by an answer."""
    monkeypatch.setattr(photos, "queue_depth", lambda: 3)


@pytest.fixture
def home(administrator: User) -> Any:
    client = Client()
    client.force_login(administrator)

    def shown() -> str:
        return client.get("/admin/").content.decode()

    return shown


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="worker", last_seen=timezone.now())


def only(found: Iterator[Notice]) -> Notice:
    (notice,) = found
    return notice


class TestOrder:
    @pytest.fixture(autouse=True)
    def no_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_sources", {})

    def test_the_most_urgent_first(self) -> None:
        notices.register("calm", lambda: [Notice(Level.WELL, "calm"), Notice(Level.SOON, "soon")])
        notices.register("now", lambda: [Notice(Level.NOW, "now")])
        assert [notice.text for notice in notices.notices()] == ["now", "soon", "calm"]

    def test_a_check_that_fails_is_said_and_harms_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken() -> Iterator[Notice]:
            yield Notice(Level.WELL, "before")
            raise RuntimeError("broken on purpose")

        notices.register("broken", broken)
        notices.register("whole", lambda: [Notice(Level.GOING_ON, "whole")])
        texts = [notice.text for notice in notices.notices()]
        assert "whole" in texts
        assert any("“broken”" in text for text in texts)
        assert "broken on purpose" in caplog.text


class TestPhotos:
    def test_workers(self, db: None) -> None:
        never = only(photos.workers())
        assert never.level == Level.NOW and "ever" in never.text
        Worker.objects.create(name="a", last_seen=timezone.now() - timedelta(hours=2))
        silent = only(photos.workers())
        assert silent.level == Level.NOW and "2 hours" in silent.text
        Worker.objects.update(last_seen=timezone.now())
        assert only(photos.workers()).level == Level.WELL

    def test_the_queue(self, patient: User, make_photo: Any) -> None:
        assert only(photos.queue()).level == Level.WELL
        make_photo(patient)
        waiting = only(photos.queue())
        assert waiting.level == Level.GOING_ON and "Messages in the queue: 3." in waiting.text
        Photo.objects.update(queued=timezone.now() - timedelta(minutes=20))
        long = only(photos.queue())
        assert long.level == Level.SOON and "20 minutes" in long.text

    def test_a_broker_that_does_not_answer(
        self, patient: User, make_photo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone() -> int:
            raise ConnectionError

        monkeypatch.setattr(photos, "queue_depth", gone)
        make_photo(patient)
        broken, waiting = photos.queue()
        assert broken.level == Level.NOW and "Redis" in broken.text
        assert "Messages" not in waiting.text

    def test_failures_of_a_day(self, patient: User, make_photo: Any) -> None:
        photo = make_photo(patient, status=Photo.Status.FAILED, failure_code="worker_lost")
        assert only(photos.failures()).level == Level.SOON
        Photo.objects.filter(pk=photo.pk).update(queued=timezone.now() - timedelta(days=2))
        assert only(photos.failures()).level == Level.WELL


class TestReviews:
    def test_urgent_and_unread(self, patient: User, make_photo: Any) -> None:
        assert only(reviews.urgent_unread()).level == Level.WELL
        photo = make_photo(patient)
        Photo.objects.filter(pk=photo.pk).update(decision="urgent")
        assert only(reviews.urgent_unread()).level == Level.SOON
        Photo.objects.filter(pk=photo.pk).update(created=timezone.now() - timedelta(days=3))
        old = only(reviews.urgent_unread())
        assert old.level == Level.NOW and "3 days" in old.text
        Photo.objects.filter(pk=photo.pk).update(review_state="read")
        assert only(reviews.urgent_unread()).level == Level.WELL

    def test_reviews_that_were_asked_for(self, patient: User, make_photo: Any) -> None:
        assert not list(reviews.requested())
        photo = make_photo(patient, review_requested=timezone.now())
        assert only(reviews.requested()).level == Level.GOING_ON
        Photo.objects.filter(pk=photo.pk).update(review_requested=timezone.now() - timedelta(days=8))
        assert only(reviews.requested()).level == Level.SOON
        Photo.objects.filter(pk=photo.pk).update(review_closed=timezone.now())
        assert not list(reviews.requested())

    def test_second_readings(self, patient: User, make_photo: Any) -> None:
        make_photo(patient, review_state="second")
        make_photo(patient, review_state="adjudication")
        texts = [notice.text for notice in reviews.second_readings()]
        assert texts == ["1 photo waits for a second reading.", "1 photo waits for adjudication by a third reader."]


class TestClassifier:
    def test_none_is_live(self, db: None) -> None:
        assert only(classifiers.live()).level == Level.NOW
        assert not list(classifiers.drift())

    def test_a_broken_one(self, classifier_row: Classifier) -> None:
        assert only(classifiers.live()).level == Level.WELL
        Classifier.objects.update(fault="weights.npz is missing")
        broken = only(classifiers.live())
        assert broken.level == Level.NOW and "weights.npz is missing" in broken.text

    def test_pictures_that_wait_for_the_index(self, classifier_row: Classifier) -> None:
        FeatureIndex.objects.create(classifier=classifier_row, waiting=2)
        assert only(classifiers.index()).text == "Similar cases: 2 pictures wait for their place in the index."

    def test_too_few_answers_are_no_worry(self, classifier_row: Classifier) -> None:
        assert only(classifiers.drift()).level == Level.WELL


class TestPeople:
    def test_unsent_emails(self, patient: User) -> None:
        assert only(people.emails()).level == Level.WELL
        told = Notification.objects.create(
            user=patient, kind="result", subject="photo:1", path="/", key="k", email_due=True
        )
        assert only(people.emails()).level == Level.WELL, "a moment ago is not late"
        Notification.objects.filter(pk=told.pk).update(created=timezone.now() - timedelta(hours=3))
        late = only(people.emails())
        assert late.level == Level.SOON and "3 hours" in late.text
        assert patient.email not in late.text


class TestMachine:
    def test_backups(self, patient: User, make_photo: Any) -> None:
        assert not list(machine.backup()), "nothing to lose yet"
        make_photo(patient)
        assert only(machine.backup()).level == Level.SOON
        record_backup()
        assert only(machine.backup()).level == Level.WELL
        BackupRecord.objects.update(created=timezone.now() - timedelta(days=9))
        old = only(machine.backup())
        assert old.level == Level.SOON and "9 days" in old.text

    @pytest.mark.parametrize(("free", "level"), [(2, Level.NOW), (10, Level.SOON), (60, Level.WELL)])
    def test_the_disk(self, free: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = type("Usage", (), {"total": 100 * 2**30, "free": free * 2**30})
        monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
        notice = only(machine.disk())
        assert notice.level == level and "GB" in notice.text

    def test_files_that_should_be_gone(self, db: None) -> None:
        ErasedFile.objects.create(name="photos/ab/c/")
        assert not list(machine.erasure())
        ErasedFile.objects.update(created=timezone.now() - timedelta(days=2))
        assert only(machine.erasure()).level == Level.SOON


class TestPage:
    def test_calm_when_all_is_well(self, home: Any, worker: Worker, classifier_row: Classifier) -> None:
        page = home()
        assert "Nothing needs your attention." in page
        assert "Looked at and in order" in page

    def test_says_what_does(self, home: Any, patient: User, make_photo: Any) -> None:
        make_photo(patient, status=Photo.Status.FAILED, failure_code="worker_lost")
        page = home()
        assert "Nothing needs your attention." not in page
        assert page.index("No classifier is live") < page.index("The analysis of 1 photo failed")

    def test_shows_what_was_done_lately(self, home: Any, administrator: User) -> None:
        AuditEntry.objects.create(actor=str(administrator.pk), action="photo-viewed", subject="photo:1")
        AuditEntry.objects.create(
            actor=str(administrator.pk), action="role-changed", subject="user:5",
            detail={"before": "patient", "after": "clinician"},
        )  # fmt: skip
        page = home()
        assert "Admin changed a role from “Patient” to “Clinician”." in page
        assert "looked at a photo" not in page

    def test_costs_the_same_with_more_photos(
        self, home: Any, patient: User, make_photo: Any, worker: Worker, classifier_row: Classifier
    ) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                home()
            return len(queries)

        make_photo(patient, status=Photo.Status.FAILED, failure_code="worker_lost")
        home()
        few = cost()
        for _ in range(5):
            make_photo(patient, status=Photo.Status.FAILED, failure_code="worker_lost")
        assert cost() == few
