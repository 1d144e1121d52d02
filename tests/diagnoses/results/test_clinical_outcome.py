"""What a patient sees of the readings, and when: asking, waiting, urgent information, the outcome."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.services import begin_reading, record_blind, record_final, request_review
from diagnoses.results.advice import months_later
from diagnoses.results.clinical_outcome import ReviewStage, clinical_outcome_of
from diagnoses.results.result import result_of
from recognition.inference.assessment import Assessment

MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., Assessment]
NEVUS = [0.1, 0.7, 0.05, 0.03, 0.05, 0.03, 0.03, 0.01]
IN_PERSON = "A clinician wants this spot to be examined in person"

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> Photo:
    """The picture alone would allow to wait."""
    return predict(make_photo(patient), NEVUS, assessment=assess("monitor"))


@pytest.fixture
def colleagues(clinician: User) -> list[User]:
    """Three clinicians, so that a second reading and an adjudication can be had."""
    others = [User.objects.create_user(f"c{n}@example.org", "x" * 12, role=Role.CLINICIAN) for n in (2, 3)]
    return [clinician, *others]


def read(photo: Photo, by: User, diagnosis: str = "NV", **final: object) -> None:
    """One whole reading; `diagnosis` may be an answer without one."""
    answer = {"answer": "diagnosis", "diagnosis": diagnosis} if diagnosis.isupper() else {"answer": diagnosis}
    reading = begin_reading(photo=photo, by=by)
    reading = record_blind(reading=reading, by=by, **answer)
    values: dict[str, Any] = {"management": "discharge", "override_reason": "it looks so", **answer, **final}
    record_final(reading=reading, by=by, shown_role=reading.role, **values)


def fresh(photo: Photo) -> Photo:
    return Photo.objects.for_display().get(pk=photo.pk)


def html_for(user: User, photo: Photo) -> str:
    client = Client()
    client.force_login(user)
    response = client.get(reverse("photo", args=[photo.pk]))
    assert response.status_code == 200
    return response.content.decode()


# --- Asking


def test_a_patient_asks_once(photo: Photo, patient: User) -> None:
    client = Client()
    client.force_login(patient)
    assert "Ask a clinician to look at it" in html_for(patient, photo)
    for _ in range(2):
        response = client.post(reverse("photo-request-review", args=[photo.pk]))
        assert response.headers["Location"] == reverse("photo", args=[photo.pk]) + "#review"
    photo.refresh_from_db()
    assert photo.review_requested is not None
    assert AuditEntry.objects.filter(action="review-requested").count() == 1
    html = html_for(patient, photo)
    assert "A clinician has been asked" in html and "Ask a clinician to look at it" not in html


def test_what_was_read_is_not_asked_for(photo: Photo, patient: User, clinician: User) -> None:
    read(photo, clinician)
    assert not request_review(photo=fresh(photo), by=patient)
    assert "Ask a clinician to look at it" not in html_for(patient, photo)


@pytest.mark.parametrize(
    ("who", "status"), [("other_patient", 404), ("clinician", 403), ("administrator", 403), ("deactivated", 302)]
)
def test_nobody_asks_for_somebody_else(who: str, status: int, photo: Photo, request: pytest.FixtureRequest) -> None:
    by = request.getfixturevalue(who)
    with pytest.raises(NotAllowed):
        request_review(photo=photo, by=by)
    client = Client()
    client.force_login(by)
    assert client.post(reverse("photo-request-review", args=[photo.pk])).status_code == status
    photo.refresh_from_db()
    assert photo.review_requested is None


# --- Before it is settled


def test_no_diagnosis_before_the_photo_is_settled(photo: Photo, patient: User, colleagues: list[User]) -> None:
    read(photo, colleagues[0], "BKL", note="a secret note", management="monitor", monitor_months=6)
    outcome = clinical_outcome_of(fresh(photo))
    assert outcome.stage is ReviewStage.SECOND
    assert (outcome.answer, outcome.management, outcome.notes, outcome.examine) == ("", "", (), False)
    html = html_for(patient, photo)
    assert "a second one is looking at it as well" in html
    assert "a secret note" not in html and 'class="truth' not in html and "What clinicians found" not in html
    # The possible second reader does not see it here either.
    assert "a secret note" not in html_for(colleagues[1], photo)


def test_that_a_doctor_should_see_it_is_told_at_once(photo: Photo, patient: User, colleagues: list[User]) -> None:
    assert "Photograph it again by" in html_for(patient, photo)
    read(photo, colleagues[0], "MEL", management="biopsy", note="a secret note")
    html = html_for(patient, photo)
    assert f"{IN_PERSON}</h1>" in html
    assert "Photograph it again by" not in html
    assert "a secret note" not in html and "biopsy" not in html.lower() and 'class="truth' not in html


def test_the_third_reader_is_told_of(photo: Photo, patient: User, colleagues: list[User]) -> None:
    read(photo, colleagues[0], "MEL", management="refer")
    read(photo, colleagues[1], "NV", management="discharge")
    assert clinical_outcome_of(fresh(photo)).stage is ReviewStage.ADJUDICATION
    html = html_for(patient, photo)
    assert "a third one is looking at it as well" in html
    assert f"{IN_PERSON}</h1>" in html  # not withdrawn by the reader who disagrees


# --- Settled


@pytest.mark.parametrize(
    ("final", "title"),
    [
        ({"management": "biopsy"}, "A clinician recommends a biopsy of this spot"),
        ({"management": "refer"}, IN_PERSON),
        ({"management": "discharge"}, "A clinician sees no need for anything further now"),
    ],
)
def test_what_clinicians_say_becomes_the_advice(
    final: dict[str, str], title: str, photo: Photo, patient: User, clinician: User
) -> None:
    read(photo, clinician, **final, note="Please come in.\n\nBring <b>this</b>.")
    html = html_for(patient, photo)
    assert f"data-announce>{title}" in html
    assert "What clinicians found" in html and "Melanocytic nevus" in html
    assert "Please come in." in html and "&lt;b&gt;this" in html
    assert html.count("Please come in.") == 1
    assert clinician.name not in html and clinician.email not in html


def test_the_interval_counts_from_the_reading(photo: Photo, patient: User, clinician: User) -> None:
    Photo.objects.update(created=timezone.now() - timedelta(days=200))
    read(photo, clinician, management="monitor", monitor_months=6)
    day = months_later(timezone.localdate(), 6)
    html = html_for(patient, photo)
    assert f"Photograph it again by {date_format(day, 'DATE_FORMAT')}" in html
    assert "after 6 months" in html


@pytest.mark.parametrize(
    ("answer", "words"), [("cannot-say", "cannot say from it what the spot is"), ("unusable", "cannot use it")]
)
def test_an_answer_without_a_diagnosis(answer: str, words: str, photo: Photo, patient: User, clinician: User) -> None:
    months: dict[str, Any] = {"monitor_months": 3} if answer == "cannot-say" else {}
    read(photo, clinician, answer, management="" if answer == "unusable" else "monitor", **months)
    html = html_for(patient, photo)
    assert words in html
    assert "Photograph it again by" in html  # the clinician's wish, or where there is none the picture's advice


def test_within_days_is_not_taken_back_by_soon(
    patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, assess: Assess
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("urgent"))
    read(photo, clinician, management="refer")
    html = html_for(patient, photo)
    assert "See a doctor within days</h1>" in html
    assert f"<strong>{IN_PERSON}." in html


@pytest.mark.parametrize("management", ["monitor", "discharge"])
def test_nobody_waits_with_a_cancer_whatever_was_said_before(
    management: str, photo: Photo, patient: User, clinician: User
) -> None:
    months: dict[str, Any] = {"monitor_months": 12} if management == "monitor" else {}
    read(photo, clinician, management=management, **months)
    record_finding(photo=fresh(photo), by=clinician, diagnosis="MEL", source="histopathology")
    result = result_of(fresh(photo))
    assert result.advice is not None and result.advice.is_strong
    assert "Nothing further is needed" not in html_for(patient, photo)


def test_the_microscope_ends_the_wish_to_see_it(photo: Photo, patient: User, clinician: User) -> None:
    read(photo, clinician, management="biopsy")
    record_finding(photo=fresh(photo), by=clinician, diagnosis="DF", source="histopathology", note="No. 17")
    html = html_for(patient, photo)
    assert "This spot has been examined under the microscope</h1>" in html
    assert "Dermatofibroma" in html and "Histopathology" in html and "No. 17" in html
    assert "recommends a biopsy" not in html and IN_PERSON not in html


def test_the_adjudicator_has_the_last_word(photo: Photo, patient: User, colleagues: list[User]) -> None:
    read(photo, colleagues[0], "MEL", management="biopsy", note="first note")
    read(photo, colleagues[1], "NV", management="discharge", note="second note")
    read(photo, colleagues[2], "NV", management="monitor", monitor_months=3, note="third note")
    html = html_for(patient, photo)
    assert "third note" in html and "first note" not in html and "second note" not in html
    assert "after 3 months" in html and IN_PERSON not in html


def test_a_failed_photo_that_was_read_shows_what_was_found(
    patient: User, clinician: User, make_photo: MakePhoto
) -> None:
    photo = make_photo(patient, status="failed", failure_code="photo_missing")
    read(photo, clinician, "BKL", management="refer")
    html = html_for(patient, photo)
    assert "The analysis failed" in html and "Benign keratosis" in html and IN_PERSON in html
    assert html.count("<h1") == 1


def test_a_clinician_is_sent_to_the_reading_until_they_have_read(photo: Photo, patient: User, clinician: User) -> None:
    assert "Read this photo" in html_for(clinician, photo)
    assert "Read this photo" not in html_for(patient, photo)
    read(photo, clinician)
    assert "Read this photo" not in html_for(clinician, photo)


def test_lists_do_not_tell_to_wait_with_what_should_be_examined(photo: Photo, patient: User, clinician: User) -> None:
    client = Client()
    client.force_login(patient)
    assert "badge--monitor" in client.get(reverse("photo-list")).content.decode()
    read(photo, clinician, management="refer")
    html = client.get(reverse("photo-list")).content.decode()
    assert "badge--monitor" not in html and 'badge--soon">See a doctor soon<' in html


def test_lists_say_so_in_a_constant_number_of_queries(
    patient: User, clinician: User, make_photo: MakePhoto, predict: Predict, django_assert_max_num_queries: Any
) -> None:
    client = Client()
    client.force_login(patient)
    for _ in range(6):
        read(predict(make_photo(patient)), clinician, "MEL", management="refer")
    with django_assert_max_num_queries(14):
        client.get(reverse("photo-list"))
