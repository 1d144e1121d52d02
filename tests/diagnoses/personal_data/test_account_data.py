"""All data about one person: access log, export, erasure."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation
from knox.models import AuthToken

from accounts.models import AuditEntry, ConsentText, Notification, Profile, Purpose, Role, User
from accounts.permissions import NotAllowed
from accounts.services import give_consent, notify, publish_consent_text
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.lesions.services import view_lesion
from diagnoses.personal_data.access_log import accesses_of
from diagnoses.personal_data.erasure import LastAdministrator, erase_account
from diagnoses.personal_data.export import export_account
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import ErasedFile, Photo, PhotoAssessment, PhotoHistory, Prediction
from diagnoses.photos.predictions import claim_photo, record_prediction
from diagnoses.photos.services import view_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding, Reading
from diagnoses.sharing.models import ShareLink
from recognition.inference.assessment import Assessment
from tests.diagnoses.answers import PLAIN, made_outputs
from tests.diagnoses.conftest import PASSWORD, MakePhoto

Predict = Callable[..., Photo]


@pytest.fixture
def whole(
    patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, other_patient: User
) -> Iterator[User]:
    """A patient with rows in every table that can hold their data, and another patient."""
    give_consent(user=patient, purpose=Purpose.TRAINING, by=patient)
    Profile.objects.create(user=patient, year_of_birth=1980, sex="female")
    lesion = Lesion.objects.create(owner=patient, name="left shoulder", anatom_site_general="anterior torso")
    Reminder.objects.create(lesion=lesion, months=3, due=timezone.localdate())
    photo = predict(make_photo(patient, lesion=lesion, age_approx=45, image_type="dermoscopic"))
    record_history(photo=photo, by=patient, answers=HistoryAnswers(change_size=True, note="it grew"))
    ShareLink.objects.create(
        photo=photo, token_sha256="a" * 64, made_by=patient, label="Dr S", expires=timezone.now() + timedelta(days=1)
    )
    now = timezone.now()
    Reading.objects.create(
        photo=photo, reader=clinician, role="first", blind_answer="diagnosis", blind_diagnosis="NV", revealed=now,
        answer="diagnosis", diagnosis="NV", note="looks harmless", recorded=now,
    )  # fmt: skip
    record_finding(photo=photo, by=clinician, diagnosis="NV", source="clinician", note="looks harmless")
    view_photo(photo=photo, by=clinician)
    notify(user=patient, kind="result", subject=f"photo:{photo.pk}", path="/", key="r", data={"spot": "left shoulder"})
    EmailAddress.objects.create(user=patient, email=patient.email, primary=True, verified=True)
    Authenticator.objects.create(user=patient, type="totp", data={"secret": "not to be told"})
    AuthToken.objects.create(user=patient)
    for model, key in ((User, patient.pk), (Lesion, lesion.pk)):
        LogEntry.objects.create(
            user=clinician,
            content_type=ContentType.objects.get_for_model(model),
            object_id=str(key),
            object_repr=patient.email,
            action_flag=2,
        )
    for user in (patient, other_patient):
        Client().force_login(user)
    beside = Lesion.objects.create(owner=other_patient, name="another's spot")
    predict(make_photo(other_patient, lesion=beside))
    yield patient


def unpacked(pieces: Iterator[bytes]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


class TestExport:
    def test_holds_everything_and_nothing_of_others(self, whole: User, other_patient: User) -> None:
        files = unpacked(export_account(user=whole, by=whole))
        photo = Photo.objects.get(owner=whole)
        account, spots, photos = (json.loads(files[f"{name}.json"]) for name in ("account", "spots", "photos"))
        assert account["email"] == whole.email
        assert account["profile"]["year_of_birth"] == 1980
        assert [(each["purpose"], each["withdrawn"]) for each in account["consents"]] == [
            ("diagnosis", None), ("training", None),
        ]  # fmt: skip
        assert account["notifications"][0]["data"] == {"spot": "left shoulder"}
        assert account["second_steps"][0]["type"] == "totp"
        assert spots[0]["name"] == "left shoulder" and spots[0]["reminders"][0]["months"] == 3
        told = photos[0]
        assert told["spot"] == spots[0]["id"]
        assert (told["age_approx"], told["history"]["checklist_score"]) == (45, 2)
        assert told["image_type"] == "dermoscopic"
        (said,) = told["predictions"][0]["assessments"]
        assert sum(said["probabilities"].values()) == pytest.approx(1)
        assert said["current"]
        assert told["predictions"][0]["classifier"] == "test-1"
        assert told["known_as"] == {"diagnosis": "NV", "source": "clinician"}
        assert told["findings"][0]["note"] == "looks harmless"
        assert told["share_links"][0]["label"] == "Dr S"
        with default_storage.open(str(photo.image.name)) as image:
            assert files[told["file"]] == image.read()
        assert files[told["predictions"][0]["heatmap"]] == b"\x89PNG heat"
        assert json.loads(files["looks.json"])[0]["by"] == "clinician"
        assert "consents/diagnosis-1.txt" in files and whole.email in files["README.txt"].decode()
        everything = b"".join(files.values())
        for secret in (b"another's spot", other_patient.email.encode(), b"not to be told", b"a" * 64, b"clinician@"):
            assert secret not in everything

    def test_holds_reminders_that_have_ended(self, whole: User) -> None:
        Reminder.objects.update(ended=timezone.now())
        spots = json.loads(unpacked(export_account(user=whole, by=whole))["spots.json"])
        assert [bool(each["ended"]) for each in spots[0]["reminders"]] == [True]

    def test_is_ones_own_and_written_down(self, whole: User, clinician: User, administrator: User) -> None:
        for by in (clinician, administrator, User(pk=whole.pk, is_active=False)):
            with pytest.raises(NotAllowed):
                export_account(user=whole, by=by)
        assert not AuditEntry.objects.filter(action="account-exported").exists()
        export_account(user=whole, by=whole)
        assert AuditEntry.objects.get(action="account-exported").subject == f"user:{whole.pk}"

    def test_the_readme_is_in_the_readers_language_and_the_data_are_not(self, whole: User) -> None:
        told = {}
        for language in ("en", "ru"):
            with translation.override(language):
                pieces = export_account(user=whole, by=whole)
            files = unpacked(pieces)  # streamed after the request has ended
            consent = files["consents/diagnosis-1.txt"].decode()
            assert consent.startswith("What is stored" if language == "en" else "Что хранится")
            told[language] = files["photos.json"]
        assert told["en"] == told["ru"]

    def test_while_clinicians_read_nothing_of_it_is_told(self, whole: User) -> None:
        Photo.objects.filter(owner=whole).update(review_state="second")
        photos = json.loads(unpacked(export_account(user=whole, by=whole))["photos.json"])
        assert photos[0]["review"]["readings"] == []
        Photo.objects.filter(owner=whole).update(review_state="read")
        photos = json.loads(unpacked(export_account(user=whole, by=whole))["photos.json"])
        assert photos[0]["review"]["readings"][0]["diagnosis"] == "NV"

    def test_of_a_refused_picture_no_diagnosis_is_told(
        self, patient: User, make_photo: MakePhoto, predict: Predict, assess: Callable[..., Assessment]
    ) -> None:
        predict(make_photo(patient), assessment=assess("not_assessed", "blurred"))
        files = unpacked(export_account(user=patient, by=patient))
        prediction = json.loads(files["photos.json"])[0]["predictions"][0]
        assessment = prediction["assessments"][0]
        assert assessment["refused"] and assessment["gates"]
        assert not {"probabilities", "picture_alone", "diagnosis", "heatmap"} & {*prediction, *assessment}
        assert not [name for name in files if "heatmap" in name]

    def test_every_history_and_every_assessment_is_told(
        self, patient: User, make_photo: MakePhoto, measure: Callable[..., Photo]
    ) -> None:
        photo = measure(make_photo(patient), 0.2, dermoscopic=0.9)
        for grew in (True, False):
            record_history(photo=photo, by=patient, answers=HistoryAnswers(change_size=grew))
        (told,) = json.loads(unpacked(export_account(user=patient, by=patient))["photos.json"])
        assert [each["change_size"] for each in (*told["earlier_histories"], told["history"])] == [True, False]
        assessments = told["predictions"][0]["assessments"]
        assert [each["metadata"] for each in assessments] == [{}, {"grew": "True"}, {"grew": "False"}]
        assert [each["current"] for each in assessments] == [False, False, True]
        assert {each["image_type_source"] for each in assessments} == {"recognised"}
        assert assessments[1]["probabilities"]["MEL"] > assessments[1]["picture_alone"]["MEL"]

    def test_a_lost_file_is_named_and_stops_nothing(self, whole: User) -> None:
        photo = Photo.objects.get(owner=whole)
        default_storage.delete(str(photo.image.name))
        files = unpacked(export_account(user=whole, by=whole))
        assert "photo.jpg" in files["MISSING.txt"].decode()
        assert any("heatmap" in name for name in files)

    def test_needs_no_more_queries_for_more_photos(
        self, patient: User, make_photo: MakePhoto, predict: Predict
    ) -> None:
        counts = []
        for more in (1, 6):
            for _number in range(more):
                predict(make_photo(patient))
            with CaptureQueriesContext(
                connection,
            ) as queries:
                unpacked(export_account(user=patient, by=patient))
            counts.append(len(queries))
        assert counts[0] == counts[1]

    def test_comes_piece_by_piece(self, patient: User, make_photo: MakePhoto) -> None:
        for _number in range(3):
            photo = make_photo(patient)
            default_storage.delete(str(photo.image.name))
            default_storage.save(str(photo.image.name), ContentFile(bytes(range(256)) * 4096))
        pieces = list(export_account(user=patient, by=patient))
        assert max(map(len, pieces)) < 200_000 and sum(map(len, pieces)) > 3_000_000

    def test_the_page_streams_it_once_a_minute(self, whole: User) -> None:
        browser = Client()
        browser.force_login(whole)
        assert browser.get(reverse("account-export")).status_code == 200
        answer: Any = browser.post(reverse("account-export"))
        assert answer.streaming and answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="teri-')
        assert "account.json" in unpacked(iter([b"".join(answer)]))
        assert browser.post(reverse("account-export")).status_code == 429


class TestLooks:
    def test_say_when_and_as_what_without_names(self, whole: User, administrator: User, clinician: User) -> None:
        photo = Photo.objects.get(owner=whole)
        view_photo(photo=photo, by=administrator)
        view_photo(photo=photo, by=whole)
        AuditEntry.objects.create(action="share-link-opened", subject=f"photo:{photo.pk}")
        looks = list(accesses_of(whole))
        assert [look.role for look in looks] == ["shared", "administrator", "clinician"]
        assert {look.photo_id for look in looks} == {photo.pk}
        browser = Client()
        browser.force_login(whole)
        html = browser.get(reverse("account-looks")).content.decode()
        assert "A clinician looked at your photo" in html and clinician.name not in html
        assert "Somebody with your share link opened your photo" in html

    def test_of_a_spot_are_listed_as_well(self, whole: User, administrator: User) -> None:
        lesion = Lesion.objects.get(owner=whole)
        view_lesion(lesion=lesion, by=administrator)
        newest = next(accesses_of(whole))
        assert (newest.role, newest.lesion_id, newest.photo_id) == ("administrator", lesion.pk, None)

    def test_by_the_person_are_not_listed(self, whole: User) -> None:
        photo = Photo.objects.get(owner=whole)
        AuditEntry.objects.create(action="photo-viewed", subject=f"photo:{photo.pk}", actor=str(whole.pk))
        assert [each.role for each in accesses_of(whole)] == ["clinician"]

    def test_are_only_those_at_ones_own(self, whole: User, other_patient: User) -> None:
        assert list(accesses_of(other_patient)) == []
        assert len(list(accesses_of(whole))) == 1


def rows_of(user_pk: int) -> dict[str, int]:
    """Rows of every table that name this user, found by asking the models, not by a list in this test."""
    found = {}
    for model in apps.get_models():
        for field in model._meta.get_fields():
            names_users = field.is_relation and field.concrete and field.related_model is User
            if names_users and (count := model._default_manager.filter(**{field.name: user_pk}).count()):
                found[f"{model._meta.label}.{field.name}"] = count
    return found


def rows_everywhere() -> dict[str, int]:
    return {model._meta.label: model._default_manager.count() for model in apps.get_models() if model._meta.managed}


class TestErasure:
    def test_leaves_no_row_and_no_file(
        self, whole: User, other_patient: User, django_capture_on_commit_callbacks: Any
    ) -> None:
        pk, before = whole.pk, rows_of(whole.pk)
        assert {label.split(".")[1] for label in before} >= {
            "Photo", "Lesion", "Profile", "Consent", "Notification", "AuthToken", "EmailAddress", "Authenticator",
            "ShareLink",
        }  # fmt: skip
        photo = Photo.objects.get(owner=whole)
        names = [str(file.name) for file in (photo.image, photo.thumbnail, photo.predictions.get().heatmap)]
        others = Photo.objects.get(owner=other_patient)
        with django_capture_on_commit_callbacks(execute=True):
            assert erase_account(user=whole, by=whole)
        assert rows_of(pk) == {}
        assert not User.objects.filter(pk=pk).exists()
        assert not [name for name in names if default_storage.exists(name)]
        for model in (PhotoAssessment, Prediction, Photo, Lesion):
            assert model._default_manager.count() == 1  # the other patient's
        for gone in (Finding, Reading, Reminder, ShareLink, PhotoHistory, LogEntry):
            assert not gone._default_manager.exists()
        assert default_storage.exists(str(others.image.name))
        keys = [session.get_decoded().get("_auth_user_id") for session in Session.objects.all()]
        assert keys == [str(other_patient.pk)]
        entry = AuditEntry.objects.get(action="account-erased")
        assert (entry.subject, entry.detail["photos"], entry.detail["number_stays"]) == (f"user:{pk}", 1, False)
        log = json.dumps(list(AuditEntry.objects.values("actor", "subject", "detail")))
        for secret in (whole.email, whole.name, "left shoulder"):
            assert secret not in log

    def test_is_all_or_nothing(self, whole: User, monkeypatch: Any) -> None:
        before = rows_everywhere()

        def fail(**_words: Any) -> None:
            raise RuntimeError("the power went")

        monkeypatch.setattr("diagnoses.personal_data.erasure.audit.record", fail)
        with pytest.raises(RuntimeError):
            erase_account(user=whole, by=whole)
        assert rows_everywhere() == before
        photo = Photo.objects.get(owner=whole)
        assert default_storage.exists(str(photo.image.name))

    def test_is_ones_own(self, whole: User, clinician: User, administrator: User) -> None:
        before = rows_everywhere()
        for by in (clinician, administrator, User(pk=whole.pk, is_active=False)):
            with pytest.raises(NotAllowed):
                erase_account(user=whole, by=by)
        assert rows_everywhere() == before

    def test_a_photo_in_the_hands_of_a_worker_goes_as_well(
        self, patient: User, make_photo: MakePhoto, classifier_row: Any
    ) -> None:
        photo = make_photo(patient)
        claim = claim_photo(photo.pk)
        assert claim is not None
        assert erase_account(user=patient, by=patient)
        late = record_prediction(
            claim=claim, classifier=classifier_row, outputs=made_outputs([0.125] * 8), assessor=PLAIN,
            heatmap_png=b"late", runtime="t", duration_ms=1,
        )  # fmt: skip
        assert late is None
        assert not Prediction.objects.exists()
        # Files that a worker may still write are deleted with the folder, which is checked again later.
        assert ErasedFile.objects.filter(name__contains=photo.pk.hex, name__endswith="/").exists()

    def test_a_clinician_leaves_a_number(self, whole: User, clinician: User, make_photo: MakePhoto) -> None:
        make_photo(clinician)
        AuthToken.objects.create(user=clinician)
        EmailAddress.objects.create(user=clinician, email=clinician.email, verified=True, primary=True)
        assert erase_account(user=clinician, by=clinician) is False
        left = User.objects.get(pk=clinician.pk)
        assert (left.is_active, left.name, left.has_usable_password()) == (False, "", False)
        assert clinician.email not in left.email
        assert {label.split(".")[1] for label in rows_of(left.pk)} == {"Finding", "Reading"}
        assert Finding.objects.get().recorded_by == left
        assert not Photo.objects.filter(owner=left).exists()

    def test_the_last_administrator_stays(self, administrator: User) -> None:
        with pytest.raises(LastAdministrator):
            erase_account(user=administrator, by=administrator)
        User.objects.create_user("second@example.org", PASSWORD, role=Role.ADMINISTRATOR, is_active=False)
        with pytest.raises(LastAdministrator):
            erase_account(user=administrator, by=administrator)
        User.objects.create_user("third@example.org", PASSWORD, role=Role.ADMINISTRATOR)
        publish_consent_text(purpose=Purpose.TRAINING, text_kk="a", text_ru="b", text_en="c", by=administrator)
        assert erase_account(user=administrator, by=administrator)
        assert ConsentText.objects.filter(version=2).get().published_by is None

    def test_the_page_asks_for_a_tick_and_the_password(self, whole: User) -> None:
        browser = Client()
        assert browser.post(reverse("account_login"), {"login": whole.email, "password": PASSWORD}).status_code == 302
        Authenticator.objects.filter(user=whole).delete()  # no second step in this test
        browser = Client()
        browser.post(reverse("account_login"), {"login": whole.email, "password": PASSWORD})
        html = browser.get(reverse("account-erase")).content.decode()
        assert "1 photo with its results" in html and "Copies of confirmed photos" in html
        assert browser.post(reverse("account-erase")).status_code == 422
        asked = browser.post(reverse("account-erase"), {"sure": "on"})
        assert asked.status_code == 302 and reverse("account_reauthenticate") in asked.headers["Location"]
        assert User.objects.filter(pk=whole.pk).exists()
        wrong = browser.post(asked.headers["Location"], {"password": "wrong"})
        assert wrong.status_code == 200 and User.objects.filter(pk=whole.pk).exists()
        done = browser.post(asked.headers["Location"], {"password": PASSWORD})
        assert done.headers["Location"] == reverse("account-erased")
        assert not User.objects.filter(pk=whole.pk).exists()
        assert "Your account is erased" in browser.get(reverse("account-erased")).content.decode()
        assert browser.get(reverse("account")).status_code == 302


def test_notifications_know_their_reader(whole: User) -> None:
    """The header of every page counts the user's unread notifications."""
    browser = Client()
    browser.force_login(whole)
    unread = Notification.objects.unread().filter(user=whole).count()
    assert unread and f"{unread} unread message" in browser.get(reverse("account")).content.decode()
