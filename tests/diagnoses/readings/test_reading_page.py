"""The reading page: blind until the answer, form content is kept, permissions."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry, Profile, Role, User
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding, Reading
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import CLOSE_UP
from tests.diagnoses.assessments import retell

SignIn = Callable[[User], Client]
MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
PASSWORD = "correct horse battery"
MELANOMA = [0.61, 0.13, 0.05, 0.05, 0.04, 0.04, 0.04, 0.04]
NEVUS = [0.1, 0.5, 0.05, 0.15, 0.05, 0.05, 0.05, 0.05]

pytestmark = pytest.mark.django_db


@pytest.fixture
def colleague(db: None) -> User:
    return User.objects.create_user("colleague@example.org", PASSWORD, name="Dr D", role=Role.CLINICIAN)


@pytest.fixture
def third(db: None) -> User:
    return User.objects.create_user("third@example.org", PASSWORD, name="Dr E", role=Role.CLINICIAN)


@pytest.fixture
def photo(patient: User, make_photo: MakePhoto, predict: Predict) -> Photo:
    return predict(make_photo(patient), probabilities=MELANOMA)


def address(photo: Photo) -> str:
    return f"/review/{photo.pk}/"


def blind(client: Client, photo: Photo, said: str) -> Any:
    return client.post(address(photo), {"step": "blind", "said": said})


def final(client: Client, photo: Photo, said: str, **values: Any) -> Any:
    html = client.get(address(photo)).content.decode()
    role = re.search(r'name="shown_role" value="(\w*)"', html)
    given = {"management": "refer", "override_reason": "looks so", "shown_role": role[1] if role else ""}
    return client.post(address(photo), {"step": "final", "said": said, **given, **values})


def text(client: Client, photo: Photo) -> str:
    response = client.get(address(photo))
    assert response.status_code == 200
    return str(response.content.decode())


def same_whatever(html: str, photo: Photo) -> str:
    """The page without the parts that differ between any two photos."""
    html = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html.replace(str(photo.pk), "ID"))
    return re.sub(r'<time datetime="[^"]*">[^<]*</time>', "", html)


class TestBlindness:
    def test_the_page_is_the_same_whatever_the_classifier_said(
        self,
        patient: User,
        clinician: User,
        make_photo: MakePhoto,
        predict: Predict,
        assess: Any,
        sign_in: SignIn,
    ) -> None:
        """No byte of the page depends on the prediction or on whether there is one."""
        photos = [
            predict(make_photo(patient), probabilities=MELANOMA, assessment=assess("urgent", score=9)),
            predict(make_photo(patient), probabilities=NEVUS, heatmap=None, assessment=assess("monitor", score=1)),
            predict(make_photo(patient), probabilities=NEVUS, assessment=assess("not_assessed", "blurred")),
            make_photo(patient),
            make_photo(patient, status="failed", failure_code="worker_lost"),
        ]
        client = sign_in(clinician)
        pages = {same_whatever(text(client, photo), photo) for photo in photos}
        assert len(pages) == 1

    def test_nothing_of_it_is_there_and_afterwards_it_is(self, photo: Photo, clinician: User, sign_in: SignIn) -> None:
        client = sign_in(clinician)
        before = text(client, photo)
        for trace in ("61\xa0%", "heatmap/", "The classifier’s answer</h2>", "probabilities", "test-1"):
            assert trace not in before
        assert blind(client, photo, "NV").status_code == 302
        after = text(client, photo)
        for trace in (
            "61\xa0%",
            f"/photos/{photo.pk}/heatmap/",
            "All eight probabilities",
            "agrees with the classifier",
        ):
            assert trace in after
        assert "your blind answer" in after

    def test_the_kind_and_what_was_told_are_shown_with_the_answer_and_not_before(
        self, photo: Photo, clinician: User, sign_in: SignIn
    ) -> None:
        retell(
            photo,
            image_type=CLOSE_UP,
            image_type_source="told",
            contradicted=True,
            case_mix=HAM10000.as_json(),
            picture_alone=NEVUS,
            picture_decision="monitor",
            used=["age_approx", "bleed"],
        )
        client = sign_in(clinician)
        traces = (
            "It looks as if it was taken through a dermatoscope.",
            "with a phone or a camera (as told with the photo)",
            "Besides the picture, this counted: age, answers about the spot.",
            "Melanocytic nevus, 50\xa0%",
            "Melanoma, 61\xa0%",
            "people as they come to a clinic",
        )
        before = text(client, photo)
        assert not [trace for trace in traces if trace in before]
        blind(client, photo, "NV")
        after = text(client, photo)
        assert not [trace for trace in traces if trace not in after]

    def test_earlier_photos_are_shown_without_their_answers(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        lesion = create_lesion(owner=patient, name="left arm")
        earlier = predict(make_photo(patient, lesion=lesion), probabilities=MELANOMA)
        record_finding(photo=earlier, by=clinician, diagnosis="MEL", source="histopathology")
        photo = predict(make_photo(patient, lesion=lesion), probabilities=NEVUS)
        html = text(sign_in(clinician), photo)
        assert f"/photos/{earlier.pk}/thumbnail/" in html
        assert "Day 0" in html
        assert "61\xa0%" not in html
        strip = html[html.index('id="earlier-title"') :]
        assert "Melanoma" not in strip

    def test_the_second_reader_sees_nothing_of_the_first_before_the_end(
        self, photo: Photo, clinician: User, colleague: User, sign_in: SignIn
    ) -> None:
        one, two = sign_in(clinician), sign_in(colleague)
        blind(one, photo, "SCC")
        final(one, photo, "SCC", note="first note", override_reason="first reason")
        for step in range(2):
            html = text(two, photo)
            for trace in ("first note", "first reason", "Dr C", "The first reader sees a cancer"):
                assert trace not in html, step
            blind(two, photo, "SCC")
        final(two, photo, "SCC")
        html = text(two, photo)
        assert "first note" in html
        assert "Dr C" in html

    def test_who_decides_sees_both_after_the_blind_answer(
        self, photo: Photo, clinician: User, colleague: User, third: User, sign_in: SignIn
    ) -> None:
        for user, code in ((clinician, "SCC"), (colleague, "MEL")):
            blind(sign_in(user), photo, code)
            final(sign_in(user), photo, code, note=f"note of {code}")
        client = sign_in(third)
        assert "note of SCC" not in text(client, photo)
        blind(client, photo, "SCC")
        html = text(client, photo)
        assert "note of SCC" in html
        assert "note of MEL" in html
        final(client, photo, "SCC", management="biopsy")
        assert Photo.objects.get(pk=photo.pk).review_state == "read"
        assert Finding.objects.get().diagnosis == "SCC"


class TestReading:
    def test_from_the_first_look_to_the_record(
        self, photo: Photo, clinician: User, sign_in: SignIn, patient: User
    ) -> None:
        client = sign_in(clinician)
        text(client, photo)
        begun = Reading.objects.get()
        assert (begun.reader, begun.revealed) == (clinician, None)
        assert AuditEntry.objects.filter(action="photo-viewed", actor=str(clinician.pk)).exists()
        blind(client, photo, "cannot-say")
        response = final(client, photo, "MEL", management="monitor", monitor_months="3", note="Come soon.")
        assert response.status_code == 302
        done = Reading.objects.get()
        assert (done.blind_answer, done.answer, done.diagnosis, done.monitor_months) == (
            "cannot-say", "diagnosis", "MEL", 3,
        )  # fmt: skip
        html = text(client, photo)
        assert "Come soon." in html
        assert "Blind answer: Cannot say" in html
        # The only clinician: there is no second reader.
        assert "no other clinician" in html

    def test_what_the_patient_told_is_shown(
        self, photo: Photo, patient: User, clinician: User, sign_in: SignIn
    ) -> None:
        record_history(
            photo=photo,
            by=patient,
            answers=HistoryAnswers(change_size=True, itch=True, bleeding=False, note="since <b>May</b>"),
        )
        assert "Told again" not in text(sign_in(clinician), photo)
        record_history(
            photo=photo, by=patient, answers=HistoryAnswers(change_size=True, itch=True, note="since <b>May</b>")
        )
        assert "Told again" in text(sign_in(clinician), photo)
        Profile.objects.create(user=patient, fitzpatrick_skin_type=2, family_hx_mm=True)
        Photo.objects.filter(pk=photo.pk).update(image_type="dermoscopic")
        html = text(sign_in(clinician), photo)
        assert "7-point score: 3 of 10" in html
        assert "Melanoma in the family" in html
        assert "<dt>How it was taken</dt><dd>through a dermatoscope</dd>" in html
        assert "since &lt;b&gt;May" in html

    @pytest.mark.parametrize("sent", [{}, {"said": ""}, {"said": "UNK"}])
    def test_no_blind_answer(self, sent: dict[str, str], photo: Photo, clinician: User, sign_in: SignIn) -> None:
        response = sign_in(clinician).post(address(photo), {"step": "blind", **sent})
        assert response.status_code == 422
        assert "61\xa0%" not in response.content.decode()
        assert not Reading.objects.filter(revealed__isnull=False).exists()

    def test_what_is_missing_is_said_and_nothing_typed_is_lost(
        self, photo: Photo, clinician: User, sign_in: SignIn
    ) -> None:
        client = sign_in(clinician)
        blind(client, photo, "NV")
        response = final(client, photo, "NV", management="monitor", override_reason="", note="my long note")
        html = response.content.decode()
        assert response.status_code == 422
        assert "my long note" in html
        assert "write down why" in html
        assert "after how many months" in html
        assert not Reading.objects.recorded().exists()

    def test_a_final_answer_without_a_blind_one(self, photo: Photo, clinician: User, sign_in: SignIn) -> None:
        response = sign_in(clinician).post(address(photo), {"step": "final", "said": "MEL"}, follow=True)
        assert "Say first what you see" in response.content.decode()
        assert not Reading.objects.recorded().exists()

    def test_another_blind_answer_afterwards(self, photo: Photo, clinician: User, sign_in: SignIn) -> None:
        client = sign_in(clinician)
        blind(client, photo, "NV")
        response = client.post(address(photo), {"step": "blind", "said": "MEL"}, follow=True)
        assert "stands" in response.content.decode()
        assert Reading.objects.get().blind_diagnosis == "NV"

    def test_recorded_twice_is_recorded_once(self, photo: Photo, clinician: User, sign_in: SignIn) -> None:
        client = sign_in(clinician)
        blind(client, photo, "MEL")
        for _ in range(2):
            sent = {"step": "final", "said": "MEL", "management": "refer", "shown_role": "first"}
            assert client.post(address(photo), sent).status_code == 302
        assert Reading.objects.recorded().count() == 1

    def test_who_comes_too_late_loses_nothing(
        self, patient: User, clinician: User, colleague: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        photo = predict(make_photo(patient), probabilities=NEVUS)
        one, two = sign_in(clinician), sign_in(colleague)
        blind(two, photo, "NV")
        assert "A colleague has opened" in text(one, photo)
        blind(one, photo, "NV")
        final(one, photo, "NV", management="discharge")
        sent = {"step": "final", "said": "BKL", "management": "refer", "override_reason": "why not", "note": "mine"}
        response = two.post(address(photo), {**sent, "shown_role": "first"})
        html = response.content.decode()
        assert response.status_code == 409
        assert "A colleague has finished" in html
        assert "mine" in html
        assert "why not" in html
        assert 'name="insist" value="1"' in html
        assert "Dr C" not in html  # still without the other reader's answer
        assert two.post(address(photo), {**sent, "insist": "1"}).status_code == 302
        assert Photo.objects.get(pk=photo.pk).review_state == "adjudication"

    def test_nobody_reads_their_own(
        self, clinician: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        own = predict(make_photo(clinician), probabilities=MELANOMA)
        client = sign_in(clinician)
        assert client.get(address(own)).headers["Location"] == f"/photos/{own.pk}/"
        assert blind(client, own, "MEL").status_code == 302
        assert not Reading.objects.exists()

    @pytest.mark.parametrize("who", ["patient", "other_patient"])
    @pytest.mark.parametrize("end", ["", "second/", "settle/", "agreed/", "histopathology/"])
    def test_patients_find_nothing_here(
        self, who: str, end: str, photo: Photo, request: pytest.FixtureRequest, sign_in: SignIn
    ) -> None:
        client = sign_in(request.getfixturevalue(who))
        response = client.post(address(photo) + end, {"step": "blind", "said": "MEL", "tissue-diagnosis": "MEL"})
        assert response.status_code == 404
        if not end:
            assert client.get(address(photo)).status_code == 404
        assert not Reading.objects.exists()
        assert not Finding.objects.exists()

    def test_the_page_costs_the_same_with_many_earlier_photos(
        self, patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        lesion = create_lesion(owner=patient, name="left arm")
        photo = predict(make_photo(patient, lesion=lesion))
        client = sign_in(clinician)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                text(client, photo)
            return len(captured)

        text(client, photo)
        make_photo(patient, lesion=lesion)
        few = queries()
        for _ in range(20):
            make_photo(patient, lesion=lesion)
        assert queries() == few


class TestAfterwards:
    def read(self, photo: Photo, client: Client, said: str, **values: Any) -> None:
        blind(client, photo, said)
        assert final(client, photo, said, **values).status_code == 302

    def test_a_second_reader_can_be_asked_for(
        self, patient: User, clinician: User, colleague: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        photo = predict(make_photo(patient), probabilities=NEVUS)
        client = sign_in(clinician)
        self.read(photo, client, "NV")
        assert "Have a second clinician read it" in text(client, photo)
        client.post(address(photo) + "second/")
        assert Photo.objects.get(pk=photo.pk).review_state == "second"

    def test_the_first_reader_may_want_one(
        self, patient: User, clinician: User, colleague: User, make_photo: MakePhoto, predict: Predict, sign_in: SignIn
    ) -> None:
        photo = predict(make_photo(patient), probabilities=NEVUS)
        self.read(photo, sign_in(clinician), "NV", second_reading="on")
        changed = Photo.objects.get(pk=photo.pk)
        assert (changed.review_state, changed.second_reason) == ("second", "requested")

    def test_histopathology_becomes_what_is_known(self, photo: Photo, clinician: User, sign_in: SignIn) -> None:
        client = sign_in(clinician)
        self.read(photo, client, "NV")
        bad = client.post(address(photo) + "histopathology/", {"tissue-note": "no. 12"})
        assert bad.status_code == 422
        assert "no. 12" in bad.content.decode()
        client.post(address(photo) + "histopathology/", {"tissue-diagnosis": "MEL", "tissue-note": "no. 12"})
        truth = Photo.objects.get(pk=photo.pk).ground_truth
        assert truth is not None
        assert (truth.diagnosis, truth.source) == ("MEL", "histopathology")

    def test_two_who_differ_and_nobody_to_decide(
        self, photo: Photo, clinician: User, colleague: User, sign_in: SignIn
    ) -> None:
        one, two = sign_in(clinician), sign_in(colleague)
        agreed = address(photo) + "agreed/"
        self.read(photo, one, "SCC")
        one.post(agreed, {"agreed-diagnosis": "NV"})
        assert not Finding.objects.exists()  # only if two readers disagree
        self.read(photo, two, "MEL")
        assert "There is no third clinician" in text(two, photo)
        assert two.post(agreed, {}).status_code == 422
        two.post(agreed, {"agreed-diagnosis": "MEL", "agreed-note": "We talked."})
        settled = Photo.objects.get(pk=photo.pk)
        assert settled.review_state == "read"
        assert settled.ground_truth is not None and settled.ground_truth.diagnosis == "MEL"

    def test_the_first_reading_can_stand_when_nobody_is_left(
        self, photo: Photo, clinician: User, colleague: User, sign_in: SignIn
    ) -> None:
        client = sign_in(clinician)
        self.read(photo, client, "MEL")
        client.post(address(photo) + "settle/")
        assert Photo.objects.get(pk=photo.pk).review_state == "second"
        User.objects.filter(pk=colleague.pk).update(is_active=False)
        assert "Let the first reading stand" in text(client, photo)
        client.post(address(photo) + "settle/")
        assert Photo.objects.get(pk=photo.pk).review_state == "read"
