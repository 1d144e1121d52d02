"""The upload page: accepted and refused uploads, and their messages."""

import html
import io
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts.models import Profile, Purpose, User
from accounts.services import give_consent
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.services import create_lesion
from diagnoses.lesions.views import upload
from diagnoses.photos.models import Photo, PhotoHistory
from recognition.inference import quality
from recognition.inference.preprocessing import REFERENCE_LONG_SIDE
from recognition.sandbox import IntakeLimits, PhotoRejected, accept_photo

URL = "/photos/new/"
HOSTILE = Path(__file__).resolve().parents[4] / "shared/data/hostile_images"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]
Picture = Callable[..., bytes]
Advised = Callable[[], dict[str, float]]


@pytest.fixture
def browser(patient: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(patient)


def image(data: bytes, name: str = "spot.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, "image/jpeg")


def test_a_photo_and_what_was_said_of_it_are_kept(browser: Client, patient: User, picture: Picture) -> None:
    response = browser.post(
        URL,
        {
            "image": image(picture()),
            "lesion_name": "left shoulder",
            "anatom_site_general": "upper extremity",
            "age_approx": "45",
            "sex": "female",
            "image_type": "dermoscopic",
        },
    )
    photo = Photo.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == reverse("photo", args=[photo.pk])
    assert (photo.owner, photo.status) == (patient, Photo.Status.QUEUED)
    assert (photo.age_approx, photo.sex, photo.anatom_site_general) == (45, "female", "upper extremity")
    assert photo.image_type == "dermoscopic"
    assert photo.lesion is not None
    assert (photo.lesion.name, photo.lesion.owner) == ("left shoulder", patient)


def test_a_photo_alone_is_enough(browser: Client, picture: Picture) -> None:
    assert browser.post(URL, {"image": image(picture())}).status_code == 302
    photo = Photo.objects.get()
    assert (photo.lesion, photo.age_approx, photo.sex, photo.anatom_site_general) == (None, None, "", "")
    assert photo.image_type == ""


def test_an_existing_spot_lends_its_site(browser: Client, patient: User, picture: Picture) -> None:
    lesion = create_lesion(owner=patient, name="Back", anatom_site_general="posterior torso")
    browser.post(URL, {"image": image(picture()), "lesion": str(lesion.pk)})
    assert Photo.objects.get().lesion == lesion
    assert Photo.objects.get().anatom_site_general == "posterior torso"
    browser.post(URL, {"image": image(picture(2)), "lesion_name": " back "})
    assert Lesion.objects.count() == 1


def test_somebody_elses_spot_is_no_choice(browser: Client, other_patient: User, picture: Picture) -> None:
    lesion = create_lesion(owner=other_patient, name="secret place")
    response = browser.post(URL, {"image": image(picture()), "lesion": str(lesion.pk)})
    assert response.status_code == 422
    assert not Photo.objects.exists()
    assert "secret place" not in response.content.decode()
    assert "secret place" not in browser.get(URL, {"lesion": str(lesion.pk)}).content.decode()


def test_fields_that_are_not_asked_for_change_nothing(
    browser: Client, patient: User, other_patient: User, picture: Picture
) -> None:
    browser.post(URL, {"image": image(picture()), "owner": other_patient.pk, "status": "predicted", "diagnosis": "MEL"})
    photo = Photo.objects.get()
    assert (photo.owner, photo.status, photo.diagnosis) == (patient, "queued", "")


REFUSED: dict[str, tuple[Any, str]] = {
    "no file": (None, "Choose a photo first."),
    "empty": (b"", "This file is empty."),
    "text": (b"I am a photo, honestly. " * 20, "not a photo we can read"),
    "cut off": ("cut", "damaged or incomplete"),
    "tiny": ("tiny", "too small to assess"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_photo_says_why_and_keeps_what_was_typed(
    browser: Client, picture: Picture, content: Any, words: str
) -> None:
    data = {"cut": picture(size=(400, 300))[:2000], "tiny": picture(size=(20, 20))}.get(content, content)
    form: dict[str, Any] = {"lesion_name": "left <i>shoulder", "age_approx": "45", "sex": "male"}
    if data is not None:
        form["image"] = image(data)
    response = browser.post(URL, form)
    page = response.content.decode()
    assert response.status_code == 422
    assert words in page
    assert escape("left <i>shoulder") in page
    assert "left <i>shoulder" not in page
    assert 'value="45"' in page
    assert not Photo.objects.exists()
    assert not Lesion.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age_approx", "-1"),
        ("age_approx", "121"),
        ("age_approx", "old"),
        ("sex", "other"),
        ("anatom_site_general", "moon"),
        ("image_type", "microscopic"),
        ("lesion", "not-a-uuid"),
        ("lesion", "00000000-0000-4000-8000-000000000000"),
        ("lesion_name", "n" * 101),
        ("lesion_name", "nul\0"),
    ],
)
def test_a_wrong_answer_is_marked_at_its_field(browser: Client, picture: Picture, field: str, value: str) -> None:
    response = browser.post(URL, {"image": image(picture()), field: value})
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Photo.objects.exists()


def test_a_file_over_the_limit_is_refused_unread(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "submit_photo", lambda **_: pytest.fail("it was read"))
    response = browser.post(URL, {"image": image(b"x" * (IntakeLimits().max_bytes + 1))})
    assert response.status_code == 422
    assert "larger than 20 MB" in response.content.decode()


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.http.multipartparser.MultiPartParser.parse", lambda *_: pytest.fail("it was parsed"))
    body = io.BytesIO(b"y" * (upload.MAX_BODY + 1))
    response = browser.generic("POST", URL, body.getvalue(), content_type="multipart/form-data; boundary=abc")
    page = response.content.decode()
    assert response.status_code == 413
    assert "larger than 20 MB" in page
    assert "Choose a photo first" not in page
    # The redisplayed form keeps its key, so a second click is still the same upload.
    assert re.search(r'name="upload_key" value="[0-9a-f]{32}"', page)


def test_the_machines_own_fault_is_not_blamed_on_the_photo(
    browser: Client, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise PhotoRejected("cage_failed")

    monkeypatch.setattr(upload, "submit_photo", broken)
    response = browser.post(URL, {"image": image(picture())})
    assert response.status_code == 503
    assert "try again in a few minutes" in response.content.decode()


def test_sending_the_same_form_twice_makes_one_photo(browser: Client, picture: Picture) -> None:
    key = uuid.uuid4().hex
    first = browser.post(URL, {"image": image(picture()), "upload_key": key})
    again = browser.post(URL, {"image": image(picture()), "upload_key": key})
    assert first.headers["Location"] == again.headers["Location"]
    # Another photo in the same form, after "back" in the browser, is a new upload.
    other = browser.post(URL, {"image": image(picture(2)), "upload_key": key})
    assert other.status_code == 302
    assert other.headers["Location"] != first.headers["Location"]
    twice = browser.post(URL, {"image": image(picture(2)), "upload_key": key})
    assert twice.headers["Location"] == other.headers["Location"]
    assert Photo.objects.count() == 2


JSON = {"accept": "application/json"}


def test_the_pages_program_gets_json(browser: Client, picture: Picture) -> None:
    wrong = browser.post(URL, {"age_approx": "old", "itch": "maybe"}, headers=JSON)
    assert wrong.status_code == 422
    problems = {each["field"]: each for each in wrong.json()["problems"]}
    assert set(problems) == {"image", "age_approx", "itch"}
    assert problems["age_approx"]["id"] == "id_age_approx" and problems["age_approx"]["label"] == "Age in years"
    refused = browser.post(URL, {"image": image(b"words, no picture" * 20)}, headers=JSON)
    assert (refused.status_code, refused.json()["problems"][0]["field"]) == (422, "image")
    right = browser.post(URL, {"image": image(picture()), "lesion_name": "nape"}, headers=JSON)
    photo = Photo.objects.get()
    assert right.status_code == 201
    assert right.json() == {
        "photo": reverse("photo", args=[photo.pk]),
        "spot": reverse("lesion", args=[photo.lesion_id]),
    }


def test_several_photos_become_photos_of_one_spot(browser: Client, picture: Picture) -> None:
    files = [image(picture(seed), f"{seed}.jpg") for seed in (1, 2, 3)]
    response = browser.post(URL, {"image": files, "lesion_name": "nape", "anatom_site_general": "head/neck"})
    lesion = Lesion.objects.get()
    assert response.headers["Location"] == reverse("lesion", args=[lesion.pk])
    assert lesion.photos.count() == 3
    assert "3 photos are being analysed" in browser.get(response.headers["Location"]).content.decode()


def test_several_photos_become_spots_of_their_own(browser: Client, patient: User, picture: Picture) -> None:
    known = create_lesion(owner=patient, name="back")
    files = [image(picture(seed), f"{seed}.jpg") for seed in (1, 2)]
    form = {"several": "each", "lesion": str(known.pk), "lesion_name": "back", "upload_key": "k"}
    response = browser.post(URL, {**form, "image": files})
    assert response.headers["Location"] == reverse("lesion-list")
    assert sorted(Lesion.objects.values_list("name", flat=True)) == ["back", "back 2", "back 3"]
    assert not known.photos.exists()
    # Sent again one by one, as a browser does after a lost response: no duplicates.
    for seed in (1, 2):
        again = browser.post(URL, {**form, "of": "2", "image": image(picture(seed))}, headers=JSON)
        assert again.status_code == 201
    assert (Photo.objects.count(), Lesion.objects.count()) == (2, 3)


@pytest.mark.parametrize(("several", "words"), [("same", "stay together"), ("each", "called after it")])
def test_several_photos_of_a_new_spot_need_its_name(
    browser: Client, picture: Picture, several: str, words: str
) -> None:
    response = browser.post(URL, {"image": [image(picture(1)), image(picture(2))], "several": several})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Photo.objects.exists()


def test_one_refused_photo_keeps_the_others_not_back(browser: Client, picture: Picture) -> None:
    files = [image(picture(1), "good.jpg"), image(b"notes " * 100, "notes.jpg"), image(b"", "empty.jpg")]
    response = browser.post(URL, {"image": [*files, image(picture(2), "fine.jpg")], "lesion_name": "nape"})
    page = response.content.decode()
    assert response.status_code == 422
    assert Lesion.objects.get().photos.count() == 2
    assert "2 photos have been taken and need not be sent again" in page
    assert "notes.jpg: This file is not a photo we can read" in page
    assert "empty.jpg: This file is empty" in page
    for name in ("good.jpg", "fine.jpg"):
        assert f"<bdi>{name}</bdi>" in page
    assert 'value="nape"' in page


def test_more_photos_than_are_taken_at_a_time(browser: Client, picture: Picture) -> None:
    response = browser.post(URL, {"image": [image(picture(1)) for _ in range(11)], "lesion_name": "nape"})
    assert response.status_code == 422
    assert "at most 10 photos at a time" in response.content.decode()
    assert not Photo.objects.exists()


def test_when_the_time_is_over_the_rest_is_asked_for_again(
    browser: Client, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PATIENCE", -1.0)
    response = browser.post(URL, {"image": image(picture())})
    assert response.status_code == 503
    assert "no time left" in response.content.decode()


def checked_image_type(page: str) -> list[str]:
    """The values of the chosen answers to "How was the photo taken?"."""
    radios = [tag for tag in re.findall(r"<input[^>]*>", page) if 'name="image_type"' in tag]
    assert [re.findall(r'value="([^"]*)"', tag) for tag in radios] == [["clinical: close-up"], ["dermoscopic"], [""]]
    return [re.findall(r'value="([^"]*)"', tag)[0] for tag in radios if " checked" in tag]


def test_the_kind_of_picture_is_asked_for_and_nothing_is_assumed(
    browser: Client, patient: User, make_photo: Callable[..., Photo]
) -> None:
    make_photo(patient, image_type="dermoscopic")
    page = browser.get(URL).content.decode()
    assert "How was the photo taken?" in page
    assert "With a phone or a camera" in page and "Through a dermatoscope" in page
    assert checked_image_type(page) == [""]


def test_the_kind_of_picture_holds_for_all_photos_of_the_form(browser: Client, picture: Picture) -> None:
    form = {"lesion_name": "nape", "image_type": "clinical: close-up"}
    files = [image(picture(1)), image(picture(2)), image(b"notes " * 100)]
    refused = browser.post(URL, {**form, "image": files})
    assert refused.status_code == 422
    assert list(Photo.objects.values_list("image_type", flat=True)) == ["clinical: close-up"] * 2
    # The form is shown again for the third photo and still has the answer.
    assert checked_image_type(refused.content.decode()) == ["clinical: close-up"]


def test_another_kind_of_picture_is_another_upload(browser: Client, picture: Picture) -> None:
    form = {"upload_key": "k", "image_type": "dermoscopic"}
    first = browser.post(URL, {**form, "image": image(picture())})
    again = browser.post(URL, {**form, "image": image(picture())})
    assert first.headers["Location"] == again.headers["Location"]
    assert browser.post(URL, {"upload_key": "k", "image": image(picture())}).status_code == 302
    assert sorted(Photo.objects.values_list("image_type", flat=True)) == ["", "dermoscopic"]


def test_a_history_comes_with_the_photo_and_is_part_of_the_upload(browser: Client, picture: Picture) -> None:
    form = {"upload_key": "k", "itch": "yes", "change_size": "no", "duration": "weeks"}
    first = browser.post(URL, {**form, "image": image(picture())})
    again = browser.post(URL, {**form, "image": image(picture())})
    assert first.headers["Location"] == again.headers["Location"]
    told = PhotoHistory.objects.get()
    assert (told.itch, told.change_size, told.raised, told.duration) == (True, False, None, "weeks")
    wrong = browser.post(URL, {**form, "itch": "maybe", "image": image(picture(2))})
    assert wrong.status_code == 422
    assert Photo.objects.count() == 1


def test_a_photo_that_was_moved_meanwhile_is_not_sent_twice(browser: Client, patient: User, picture: Picture) -> None:
    form = {"upload_key": "k", "lesion_name": "nape"}
    browser.post(URL, {**form, "image": image(picture())})
    other = create_lesion(owner=patient, name="other")
    Photo.objects.update(lesion=other)
    again = browser.post(URL, {**form, "image": image(picture())})
    assert again.headers["Location"] == reverse("photo", args=[Photo.objects.get().pk])


def test_the_profile_says_age_and_sex(browser: Client, patient: User, make_photo: Callable[..., Photo]) -> None:
    make_photo(patient, age_approx=20, sex="male")
    Profile.objects.create(user=patient, year_of_birth=timezone.localdate().year - 47, sex="female")
    page = browser.get(URL).content.decode()
    assert 'value="47"' in page
    assert re.search(r'value="female"\s+selected', page)


def test_the_browser_measures_as_the_server_does() -> None:
    script = (Path(__file__).resolve().parents[3] / "static/js/quality.js").read_text()
    for name, value in (("MARGIN", quality.MARGIN), ("CLIPPED", quality.CLIPPED)):
        assert f"const {name} = {value};" in script


@pytest.fixture
def advised(browser: Client) -> Advised:
    """The scale and the limits by which the browser advises."""

    def limits() -> dict[str, float]:
        page = browser.get(URL).content.decode()
        return json.loads(html.unescape(page.split('data-quality="')[1].split('"')[0]))  # type: ignore[no-any-return]

    return limits


def test_without_a_classifier_the_browser_advises_by_the_default_limits(
    advised: Advised,
) -> None:
    assert advised() == {"reference_long_side": REFERENCE_LONG_SIDE, **quality.DEFAULT_LIMITS.as_json()}


def test_the_browser_advises_by_the_laxest_limits_of_the_live_classifier(
    advised: Advised, classifier_row: Classifier
) -> None:
    strict, lax = (
        {"long_side_min": 120.0, "bright_min": 40.0, "clipped_max": 0.2, "contrast_min": 0.12, "sharpness_min": each}
        for each in (9.0, 4.0)
    )
    lax["clipped_max"] = 0.3
    manifest = {
        "preprocessing": {"reference_long_side": 400},
        "image_types": {
            "dermoscopic": {"assessment": {"quality": strict}},
            "clinical: close-up": {"assessment": {"quality": lax}},
        },
    }
    Classifier.objects.update(manifest=manifest)
    assert advised() == {"reference_long_side": 400, **lax}


def test_without_the_token_nothing_happens(patient: User, picture: Picture) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(patient)
    response = careful.post(URL, {"image": image(picture())})
    assert response.status_code == 403
    assert "This page was open for too long" in response.content.decode()
    assert not Photo.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_sign_in(client: Client, picture: Picture, method: str) -> None:
    response = getattr(client, method)(URL, {"image": image(picture())} if method == "post" else {})
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("account_login"))
    assert not Photo.objects.exists()


def test_the_page_remembers_age_and_sex_but_not_for_clinicians(
    browser: Client, patient: User, clinician: User, make_photo: Callable[..., Photo], sign_in: Callable[[User], Client]
) -> None:
    make_photo(patient, age_approx=63, sex="male")
    make_photo(clinician, age_approx=64, sex="male")
    assert 'value="63"' in browser.get(URL).content.decode()
    assert 'value="64"' not in sign_in(clinician).get(URL).content.decode()


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="shared/data/hostile_images is not here")
def test_hostile_file_names_are_shown_escaped_and_stored_nowhere(
    browser: Client, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R22: the file name is escaped on the page and not used on the storage."""
    data = picture()
    accepted = accept_photo(data)  # one photo: only the names differ
    monkeypatch.setattr("diagnoses.photos.services.accept_photo", lambda *_, **__: accepted)
    for name in json.loads((HOSTILE / "hostile_filenames.json").read_text()):
        boundary = "teri-boundary"
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="'.encode()
            + name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode("utf-8", "surrogatepass")
            + b'"\r\nContent-Type: image/jpeg\r\n\r\n'
            + data
            + f"\r\n--{boundary}--\r\n".encode()
        )
        response = browser.generic("POST", URL, body, content_type=f"multipart/form-data; boundary={boundary}")
        if len(name) > 900:  # more than a header may hold
            assert response.status_code == 400
            continue
        if name in {"", "."}:  # a field without a file name is a field without a file
            assert response.status_code == 422
            continue
        assert response.status_code == 302, ascii(name)
        photo = Photo.objects.order_by("created").last()
        assert photo is not None
        assert photo.image.name == f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}/photo.jpg"
        page = browser.get(response.headers["Location"]).content.decode()
        assert f'<dd class="file-name"><bdi>{escape(photo.shown_name)}</bdi></dd>' in page
        for markup in ("<img src=x", "<script>alert", "\u202e"):
            assert markup not in page
    assert Photo.objects.count() > 40


def test_the_same_form_again_is_one_photo_and_other_words_are_another(browser: Client, picture: Picture) -> None:
    form = {"upload_key": "k", "lesion_name": "left arm", "age_approx": "45"}
    first = browser.post(URL, {**form, "image": image(picture())})
    again = browser.post(URL, {**form, "image": image(picture())})
    assert first.headers["Location"] == again.headers["Location"]
    other = browser.post(URL, {**form, "age_approx": "46", "image": image(picture())})
    assert other.status_code == 302
    assert sorted(age for age in Photo.objects.values_list("age_approx", flat=True) if age) == [45, 46]


def test_the_page_asks_for_consent_first_and_comes_back(browser: Client, silent: User) -> None:
    answer = browser.get(URL, {"lesion": "x"})
    assert answer.headers["Location"] == f"{reverse('consent')}?next=%2Fphotos%2Fnew%2F%3Flesion%3Dx"


def test_a_form_sent_without_consent_is_refused(browser: Client, silent: User, picture: Picture) -> None:
    """The new spot is not saved either."""

    def sent() -> Any:
        return browser.post(URL, {"image": [image(picture()), image(picture(2))], "lesion_name": "Back"})

    refused = sent()
    assert refused.status_code == 422 and refused.content.decode().count("please agree to the text") == 1
    assert not Photo.objects.exists() and not Lesion.objects.exists()
    give_consent(user=silent, purpose=Purpose.DIAGNOSIS, by=silent)
    assert sent().status_code == 302 and Photo.objects.filter(owner=silent).count() == 2
