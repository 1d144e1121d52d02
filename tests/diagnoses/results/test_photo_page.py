"""A photo's page in every state, with its actions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import KnownImage, Photo, PhotoQuerySet, Worker
from diagnoses.photos.predictions import claim_photo, fail_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.models import Finding
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, Diagnosis

SignIn = Callable[[User], Client]
MakePhoto = Callable[..., Photo]
HTMX = {"hx-request": "true"}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]


@pytest.fixture
def browser(patient: User, sign_in: SignIn) -> Client:
    return sign_in(patient)


@pytest.fixture
def worker() -> Worker:
    return Worker.objects.create(name="worker@test", last_seen=timezone.now())


def url(name: str, photo: Photo) -> str:
    return reverse(name, args=[photo.pk])


def page(client: Client, photo: Photo) -> str:
    response = client.get(url("photo", photo))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("image_type", "words"),
    [("dermoscopic", "through a dermatoscope"), ("clinical: close-up", "with a phone or a camera"), ("", None)],
)
def test_how_the_picture_was_taken(
    browser: Client, patient: User, make_photo: MakePhoto, image_type: str, words: str | None
) -> None:
    html = " ".join(page(browser, make_photo(patient, image_type=image_type)).split())
    assert (f"<dt>How it was taken</dt> <dd> {words} </dd>" in html) == (words is not None)
    assert ("How it was taken" in html) == (words is not None)


@pytest.mark.parametrize("who", ["patient", "clinician"])
def test_a_kind_that_was_told_wrongly_is_changed_and_the_photo_is_assessed_again_at_once(
    who: str, request: pytest.FixtureRequest, patient: User, make_photo: MakePhoto, measure: MakePhoto, sign_in: SignIn
) -> None:
    client = sign_in(request.getfixturevalue(who))
    photo = measure(make_photo(patient, image_type=CLOSE_UP), 0.2, dermoscopic=0.95)
    assert "<title>Have a doctor look at it soon" in page(client, photo)
    assert "It looks as if it was taken through a dermatoscope." in page(client, photo)
    answer = client.post(url("photo-image-type", photo), {"image_type": DERMOSCOPIC})
    assert (answer.status_code, answer.headers["Location"]) == (302, url("photo", photo))
    html = page(client, photo)
    assert "<title>Photograph it again by" in html  # dermatoscope pictures have another level for "soon"
    assert "It looks as if" not in html and "It is noted how the photo was taken." in html
    assert client.post(url("photo-image-type", photo), {"image_type": "selfie"}).status_code == 302
    assert Photo.objects.get().image_type == DERMOSCOPIC


def test_without_a_word_the_picture_tells_how_it_was_taken(
    browser: Client, patient: User, make_photo: MakePhoto, measure: MakePhoto
) -> None:
    html = " ".join(page(browser, measure(make_photo(patient), 0.2, dermoscopic=0.02)).split())
    assert 'with a phone or a camera <span class="quiet">(recognised from the picture)</span>' in html


# --- Waiting


def test_waiting_in_the_queue(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier, worker: Worker
) -> None:
    photo = make_photo(patient, queued=timezone.now() - timedelta(minutes=3, seconds=5))
    html = page(browser, photo)
    assert 'data-stage="queued"' in html
    assert "Waiting for 3 minutes." in html
    assert f'hx-get="{url("photo-status", photo)}"' in html
    # Without JavaScript the page looks again by itself.
    assert '<noscript><meta http-equiv="refresh"' in html


def test_the_longer_it_waits_the_less_often_it_asks(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier, worker: Worker
) -> None:
    now = timezone.now()
    asked = []
    for waited in (1, 30, 300, 3000):
        html = page(browser, make_photo(patient, queued=now - timedelta(seconds=waited)))
        asked.append(int(html.split('hx-trigger="every ')[1].split("ms")[0]))
    assert asked[0] <= 1000
    assert asked == sorted(set(asked))


def test_being_analysed(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient)
    claim_photo(photo.pk)
    assert 'data-stage="predicting"' in page(browser, photo)


def test_a_worker_that_died_on_the_photo_is_not_said_to_look_at_it(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier
) -> None:
    photo = make_photo(patient)
    claim_photo(photo.pk)
    Photo.objects.update(lease_expires=timezone.now() - timedelta(seconds=1))
    assert 'data-stage="no-worker"' in page(browser, photo)
    Worker.objects.create(name="back", last_seen=timezone.now())
    assert 'data-stage="again"' in page(browser, photo)


def test_interrupted_and_tried_again(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier, worker: Worker
) -> None:
    assert 'data-stage="again"' in page(browser, make_photo(patient, attempts=1))


@pytest.mark.parametrize("fault", [None, "The bundle was altered."])
def test_no_classifier_live(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier, worker: Worker, fault: str | None
) -> None:
    if fault is None:
        classifier_row.delete()
    else:
        Classifier.objects.update(fault=fault)
    html = page(browser, make_photo(patient))
    assert "No classifier is live" in html
    assert "Your photo is safe" in html
    assert fault is None or fault not in html


def test_worker_down_says_since_when(
    browser: Client, patient: User, make_photo: MakePhoto, classifier_row: Classifier
) -> None:
    photo = make_photo(patient)
    assert "It was last heard from" not in page(browser, photo)
    Worker.objects.create(name="w", last_seen=timezone.now() - settings.WORKER_SILENCE - timedelta(days=400))
    html = page(browser, photo)
    assert 'data-stage="no-worker"' in html
    assert "It was last heard from" in html


# --- The fragment


def test_the_fragment_follows_the_photo(
    browser: Client,
    patient: User,
    make_photo: MakePhoto,
    classifier_row: Classifier,
    worker: Worker,
    predict: Callable[..., Photo],
) -> None:
    photo = make_photo(patient)
    waiting = browser.get(url("photo-status", photo), headers=HTMX).content.decode()
    assert waiting.lstrip().startswith("<section")
    assert "hx-get" in waiting
    predict(photo)
    done = browser.get(url("photo-status", photo), headers=HTMX).content.decode()
    # The fragment also brings the actions on the result, which the waiting page does not have.
    assert url("photo-report", photo) not in waiting
    assert 'id="afterwards"' in done and url("photo-report", photo) in done
    assert "Melanoma" in done
    assert "hx-get" not in done
    assert "<title>Have a doctor look at it soon · Teri</title>" in done
    assert 'id="heatmap" class="photo__evidence" hx-swap-oob="true"' in done
    assert url("photo-heatmap", photo) in done


def test_the_fragment_alone_is_the_page(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient)
    response = browser.get(url("photo-status", photo))
    assert (response.status_code, response.headers["Location"]) == (302, url("photo", photo))


def test_the_fragment_of_an_ended_session_moves_the_page_to_sign_in(
    client: Client, patient: User, make_photo: MakePhoto
) -> None:
    photo = make_photo(patient)
    current = f"http://testserver{url('photo', photo)}"
    response = client.get(url("photo-status", photo), headers={**HTMX, "hx-current-url": current})
    assert response.headers["HX-Redirect"].startswith(reverse("account_login"))
    assert "%2Fphotos%2F" in response.headers["HX-Redirect"]
    assert b"Melanoma" not in response.content


# --- The result


def test_a_result_shows_all_there_is_to_know(
    browser: Client, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo]
) -> None:
    photo = predict(make_photo(patient), probabilities=[0.02, 0.8, 0.03, 0.04, 0.05, 0.02, 0.03, 0.01])
    html = page(browser, photo)
    assert "<title>Keep an eye on it · Teri</title>" in html
    assert Diagnosis.NV.plain_words in html
    assert "This is no all-clear" in html
    rows = html.split('<table class="bars">')[1].split("</table>")[0]
    # Sorted by probability; equal ones in ISIC order.
    order = sorted(CODES, key=lambda code: rows.index(f'<span class="code">{code}</span>'))
    assert order == ["NV", "BKL", "AK", "BCC", "VASC", "MEL", "DF", "SCC"]
    assert 'width="80.00%"' in rows
    assert "add up to <strong>6\xa0%</strong>" in html
    assert "<strong>test-1</strong>" in html
    assert "c" * 12 in html
    assert "It is not a diagnosis" in html
    assert 'id="heatmap-switch"' in html
    assert "What it is known to be" not in html
    assert "hx-get" not in html
    assert 'http-equiv="refresh"' not in html


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        ([0.93, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01], "is a kind of skin cancer"),
        ([0.01, 0.01, 0.01, 0.93, 0.01, 0.01, 0.01, 0.01], "seen and usually treated by a doctor"),
    ],
)
def test_what_to_do_next(
    browser: Client,
    patient: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
    probabilities: list[float],
    words: str,
) -> None:
    assert words in page(browser, predict(make_photo(patient), probabilities=probabilities))


def test_an_unsure_answer_names_the_next_one(
    browser: Client, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo]
) -> None:
    unsure = predict(make_photo(patient), probabilities=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert "Next comes Melanocytic nevus with 20\xa0%" in page(browser, unsure)
    assert "Next comes" not in page(browser, predict(make_photo(patient)))


def test_no_heatmap_is_said(
    browser: Client, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo]
) -> None:
    html = page(browser, predict(make_photo(patient), heatmap=None))
    assert "No heatmap: no part of the picture spoke clearly" in html
    assert "heatmap-switch" not in html


@pytest.mark.parametrize(("code", "agrees"), [("MEL", True), ("NV", False)])
def test_ground_truth_from_a_data_set(
    browser: Client, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo], code: str, agrees: bool
) -> None:
    known = KnownImage.objects.create(
        dataset="ISIC 2019", image="ISIC_1", diagnosis=code, original_sha256="0" * 64, content_hash=b"\0" * 32
    )
    html = page(browser, predict(make_photo(patient, recognised_as=known)))
    assert "ISIC_1 (ISIC 2019)" in html
    assert ("answer agrees" in html) is agrees
    assert ("a different one" in html) is not agrees


def test_other_photos_of_the_spot(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    lesion = create_lesion(owner=patient, name="<b>nape</b>")
    first, second = make_photo(patient, lesion=lesion), make_photo(patient, lesion=lesion)
    html = page(browser, first)
    assert url("photo", second) in html
    assert "&lt;b&gt;nape&lt;/b&gt;" in html
    assert "<b>nape" not in html


# --- Failure


def test_a_failure_says_why_and_can_be_tried_again(browser: Client, patient: User, make_photo: MakePhoto) -> None:
    photo = make_photo(patient)
    claim = claim_photo(photo.pk)
    assert claim is not None
    fail_photo(claim=claim, code="prediction_timeout")
    html = page(browser, photo)
    assert "took too long three times" in html
    assert url("photo-retry", photo) in html
    assert browser.get(url("photo-retry", photo)).status_code == 405
    assert browser.post(url("photo-retry", photo)).headers["Location"] == url("photo", photo)
    photo.refresh_from_db()
    assert photo.status == Photo.Status.QUEUED


def test_where_trying_again_cannot_help_it_is_not_offered(
    browser: Client, patient: User, make_photo: MakePhoto
) -> None:
    html = page(browser, make_photo(patient, status="failed", failure_code="photo_missing"))
    assert "Upload it again" in html
    assert "Try again" not in html


# --- Deleting


def test_deleting_asks_first_then_leaves_nothing(
    browser: Client,
    patient: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    photo = predict(make_photo(patient))
    assert photo.prediction is not None
    names = [str(file) for file in (photo.image, photo.thumbnail, photo.prediction.heatmap)]
    assert all(default_storage.exists(name) for name in names)
    assert "Delete this photo?" in browser.get(url("photo-delete", photo)).content.decode()
    assert Photo.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]  # a context manager
        response = browser.post(url("photo-delete", photo), follow=True)
    assert "have been deleted" in response.content.decode()
    assert not Photo.objects.exists()
    assert not any(default_storage.exists(name) for name in names)


def test_only_the_owner_deletes(clinician: User, patient: User, make_photo: MakePhoto, sign_in: SignIn) -> None:
    photo = make_photo(patient)
    for method in ("get", "post"):
        response = getattr(sign_in(clinician), method)(url("photo-delete", photo))
        assert response.status_code == 403
        assert "Only the person who uploaded" in response.content.decode()
    assert url("photo-delete", photo) not in page(sign_in(clinician), photo)
    assert Photo.objects.exists()


# --- Others


NAMES = ["photo", "photo-status", "photo-delete", "photo-retry", "photo-finding"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_for_other_patients_it_does_not_exist(
    name: str, method: str, patient: User, other_patient: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    photo = make_photo(patient)
    response = getattr(sign_in(other_patient), method)(url(name, photo))
    assert response.status_code in ({404, 405} if (name, method) in WRONG_METHOD else {404})
    assert Photo.objects.filter(pk=photo.pk).exists()


WRONG_METHOD = {("photo", "post"), ("photo-status", "post"), ("photo-retry", "get"), ("photo-finding", "get")}


@pytest.mark.parametrize("name", NAMES)
def test_strangers_are_sent_to_sign_in(name: str, client: Client, patient: User, make_photo: MakePhoto) -> None:
    method = "post" if name in {"photo-retry", "photo-finding"} else "get"
    response = getattr(client, method)(url(name, make_photo(patient)))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("account_login"))


def test_every_look_by_a_clinician_is_on_record_and_the_owners_are_not(
    browser: Client, clinician: User, patient: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    photo = make_photo(patient)
    page(browser, photo)
    assert not AuditEntry.objects.exists()
    doctor = sign_in(clinician)
    page(doctor, photo)
    doctor.get(url("photo-status", photo), headers=HTMX)
    doctor.get(url("photo-status", photo), headers=HTMX)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.subject) == (str(clinician.pk), "photo-viewed", f"photo:{photo.pk}")


# --- Findings


def test_a_clinician_enters_histopathology_and_the_patient_reads_it(
    browser: Client,
    clinician: User,
    patient: User,
    make_photo: MakePhoto,
    predict: Callable[..., Photo],
    sign_in: SignIn,
) -> None:
    photo = predict(make_photo(patient))
    doctor = sign_in(clinician)
    assert "Enter histopathology" in page(doctor, photo)
    assert "Enter histopathology" not in page(browser, photo)
    response = doctor.post(url("photo-finding", photo), {"diagnosis": "BKL", "note": "<script>x</script>"})
    assert response.headers["Location"] == url("photo", photo) + "#findings"
    finding = Finding.objects.get()
    assert (finding.diagnosis, finding.recorded_by, finding.assessment) == ("BKL", clinician, photo.assessment)
    assert finding.source == Finding.Source.HISTOPATHOLOGY
    html = page(browser, photo)
    assert "Benign keratosis" in html
    assert "&lt;script&gt;x" in html
    assert "<script>x" not in html
    # Patients see the finding, but not the clinician's name.
    assert str(clinician) not in html


def test_what_a_clinician_sees_in_a_photo_is_not_recorded_beside_the_prediction(
    clinician: User, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo], sign_in: SignIn
) -> None:
    """A sent `source` is ignored: this view only records histopathology."""
    photo = predict(make_photo(patient))
    sign_in(clinician).post(url("photo-finding", photo), {"diagnosis": "BKL", "source": "clinician"})
    assert Finding.objects.get().source == Finding.Source.HISTOPATHOLOGY


def test_the_newest_histopathology_counts(
    browser: Client, clinician: User, patient: User, make_photo: MakePhoto, predict: Callable[..., Photo]
) -> None:
    photo = predict(make_photo(patient))
    record_finding(photo=photo, by=clinician, diagnosis="MEL", source="histopathology")
    record_finding(photo=photo, by=clinician, diagnosis="NV", source="clinician")
    truth = page(browser, photo).split('<div class="truth')[1].split("</div>")[0]
    assert "Melanoma" in truth
    assert "Histopathology" in truth


@pytest.mark.parametrize(
    "form", [{}, {"diagnosis": "UNK"}, {"note": "a note alone"}, {"diagnosis": "MEL", "note": "x" * 2001}]
)
def test_half_a_finding_is_not_recorded(
    form: dict[str, str], clinician: User, patient: User, make_photo: MakePhoto, sign_in: SignIn
) -> None:
    response = sign_in(clinician).post(url("photo-finding", make_photo(patient)), form)
    assert response.status_code == 422
    assert "field--wrong" in response.content.decode()
    assert not Finding.objects.exists()


def test_patients_record_no_findings_not_even_on_their_own(
    browser: Client, patient: User, make_photo: MakePhoto
) -> None:
    response = browser.post(url("photo-finding", make_photo(patient)), {"diagnosis": "NV"})
    assert response.status_code == 404
    assert not Finding.objects.exists()


def test_what_a_service_does_not_allow_is_the_403_page(
    patient: User, other_patient: User, sign_in: SignIn, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a view forgets the permission check, the service still refuses, and its message is not shown."""
    monkeypatch.setattr(PhotoQuerySet, "visible_to", lambda photos, _user: photos)
    response = sign_in(other_patient).post(url("photo-retry", make_photo(patient)))
    html = response.content.decode()
    assert response.status_code == 403
    assert "Your account does not allow this." in html and "belongs to somebody else" not in html


def test_what_is_there_stays_readable_without_consent(silent: User, sign_in: SignIn, make_photo: MakePhoto) -> None:
    page(sign_in(silent), make_photo(silent))
