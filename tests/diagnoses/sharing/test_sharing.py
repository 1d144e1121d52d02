"""Share links: creating and revoking them, what they show, and invalid links."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import Photo
from diagnoses.sharing.models import ShareLink
from diagnoses.sharing.services import DAYS, MAX_OPEN, make_share_link, open_shared, revoke_share_link
from diagnoses.sharing.views import MISSES
from recognition.inference.assessment import Assessment

MakePhoto = Callable[..., Photo]
Predict = Callable[..., Photo]
Assess = Callable[..., Assessment]
NEVUS = [0.1, 0.7, 0.05, 0.03, 0.05, 0.03, 0.03, 0.01]
PIECES = ("shared", "shared-image", "shared-heatmap", "shared-report")

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(patient: User, make_photo: MakePhoto, predict: Predict, assess: Assess) -> Photo:
    return predict(make_photo(patient, image_type="clinical: close-up"), NEVUS, assessment=assess("monitor"))


@pytest.fixture
def browser(patient: User) -> Client:
    client = Client()
    client.force_login(patient)
    return client


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


# --- Services


def test_a_link_opens_its_photo_and_only_its_hash_is_kept(photo: Photo, patient: User) -> None:
    link, token = make_share_link(photo=photo, by=patient, days=7, label="  Dr   Ospanova ")
    assert len(token) >= 43  # 256 bits
    assert link.label == "Dr Ospanova"
    assert timedelta(days=6, hours=23) < link.expires - timezone.now() <= timedelta(days=7)
    opened = open_shared(token)
    assert opened is not None and opened.photo == photo
    row = ShareLink.objects.filter(pk=link.pk).values().get()
    assert token not in str(row)
    assert not AuditEntry.objects.filter(detail__icontains=token).exists()


def test_two_links_have_two_tokens(photo: Photo, patient: User) -> None:
    assert make_share_link(photo=photo, by=patient, days=1)[1] != make_share_link(photo=photo, by=patient, days=1)[1]


@pytest.mark.parametrize("who", ["other_patient", "clinician", "administrator"])
def test_only_the_owner_makes_and_closes_links(
    who: str, photo: Photo, patient: User, request: pytest.FixtureRequest
) -> None:
    by = request.getfixturevalue(who)
    with pytest.raises(NotAllowed):
        make_share_link(photo=photo, by=by, days=1)
    link, token = make_share_link(photo=photo, by=patient, days=1)
    with pytest.raises(NotAllowed):
        revoke_share_link(link=link, by=by)
    assert open_shared(token) is not None


@pytest.mark.parametrize("days", [0, 2, 365, -1])
def test_only_the_offered_times(days: int, photo: Photo, patient: User) -> None:
    with pytest.raises(ValueError, match="opens for"):
        make_share_link(photo=photo, by=patient, days=days)


def test_not_more_than_ten_open_links(photo: Photo, patient: User) -> None:
    links = [make_share_link(photo=photo, by=patient, days=1)[0] for _ in range(MAX_OPEN)]
    with pytest.raises(ValidationError, match="open links already"):
        make_share_link(photo=photo, by=patient, days=1)
    revoke_share_link(link=links[0], by=patient)
    make_share_link(photo=photo, by=patient, days=1)


def test_closing_is_final_and_recorded_once(photo: Photo, patient: User) -> None:
    link, token = make_share_link(photo=photo, by=patient, days=30)
    assert revoke_share_link(link=link, by=patient)
    assert not revoke_share_link(link=link, by=patient)
    assert open_shared(token) is None
    assert actions().count("share-link-revoked") == 1


@pytest.mark.parametrize("end", ["expired", "revoked", "switched off", "deleted"])
def test_what_ends_a_link(end: str, photo: Photo, patient: User) -> None:
    link, token = make_share_link(photo=photo, by=patient, days=1)
    if end == "expired":
        now = timezone.now()
        ShareLink.objects.update(created=now - timedelta(days=2), expires=now - timedelta(seconds=1))
    elif end == "revoked":
        revoke_share_link(link=link, by=patient)
    elif end == "switched off":
        User.objects.filter(pk=patient.pk).update(is_active=False)
    else:
        photo.delete()
    assert open_shared(token) is None


def test_openings_are_counted_and_audited_once_an_hour(photo: Photo, patient: User) -> None:
    link, token = make_share_link(photo=photo, by=patient, days=1)
    for _ in range(3):
        open_shared(token)
    open_shared(token, counts=False)
    link.refresh_from_db()
    assert link.times_opened == 3
    entry = AuditEntry.objects.get(action="share-link-opened")
    assert (entry.actor, entry.subject) == ("", f"photo:{photo.pk}")
    ShareLink.objects.update(last_opened=timezone.now() - timedelta(minutes=61))
    open_shared(token, counts=False)
    assert actions().count("share-link-opened") == 2


# --- The shared page


def test_whoever_has_the_address_reads_the_result_without_an_account(
    client: Client, photo: Photo, patient: User
) -> None:
    _link, token = make_share_link(photo=photo, by=patient, days=7)
    response = client.get(reverse("shared", args=[token]))
    html = response.content.decode()
    assert response.status_code == 200
    assert re.search(r"<dt>How it was taken</dt>\s*<dd>\s*with a phone or a camera", html)
    assert "Melanocytic nevus" in html and "Photograph it again by" in html and "Patient A" in html
    assert patient.email not in html
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in response.headers["X-Robots-Tag"] and 'name="robots" content="noindex' in html
    # No actions, nothing that needs an account, no cookie.
    assert "<form method" not in html and "csrfmiddlewaretoken" not in html and "hx-get" not in html
    for name in ("photo-delete", "photo-share", "photo-request-review", "photo-image", "photo-heatmap", "photo-report"):
        assert reverse(name, args=[photo.pk]) not in html
    assert not response.cookies
    for name in PIECES[1:]:
        assert reverse(name, args=[token]) in html


def test_the_pieces_of_the_page(client: Client, photo: Photo, patient: User) -> None:
    _link, token = make_share_link(photo=photo, by=patient, days=7)
    for name, kind in (
        ("shared-image", "image/jpeg"),
        ("shared-heatmap", "image/png"),
        ("shared-report", "application/pdf"),
    ):
        response = client.get(reverse(name, args=[token]))
        assert response.status_code == 200
        assert response.headers["Content-Type"] == kind
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response.headers["Cache-Control"]
        if response.streaming:
            b"".join(response.streaming_content)  # type: ignore[attr-defined]  # reads it to its end, which closes it
    assert ShareLink.objects.get().times_opened == 0  # parts of a page do not count as views


def test_a_token_opens_no_other_photo(client: Client, photo: Photo, patient: User, make_photo: MakePhoto) -> None:
    """The URL contains no photo id that could be replaced by another one."""
    other = make_photo(patient, image=default_storage.save("photos/other.jpg", ContentFile(b"another picture")))
    _link, token = make_share_link(photo=photo, by=patient, days=7)
    response = client.get(reverse("shared-image", args=[token]))
    assert b"".join(response.streaming_content) == b"image of " + photo.pk.bytes  # type: ignore[attr-defined]
    for address in (f"/s/{token}/{other.pk}/", f"/s/{token}/image/?photo={other.pk}"):
        response = client.get(address)
        body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        assert b"another picture" not in body
    for name in ("photo", "photo-image", "photo-report"):
        assert client.get(reverse(name, args=[other.pk])).status_code == 302  # to the sign-in


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("state", ["unknown", "expired", "revoked"])
def test_an_address_that_opens_nothing_says_the_same_whatever_the_reason(
    name: str, state: str, client: Client, photo: Photo, patient: User
) -> None:
    link, token = make_share_link(photo=photo, by=patient, days=7)
    if state == "unknown":
        token = "A" * 43
    elif state == "expired":
        now = timezone.now()
        ShareLink.objects.update(created=now - timedelta(days=8), expires=now - timedelta(days=1))
    else:
        revoke_share_link(link=link, by=patient)
    response = client.get(reverse(name, args=[token]))
    assert response.status_code == 404
    html = response.content.decode()
    assert "This link opens nothing" in html
    assert "Melanocytic nevus" not in html and "Patient A" not in html
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "share-link-opened" not in actions()


def test_guessing_is_slowed_down(client: Client, photo: Photo, patient: User) -> None:
    _link, token = make_share_link(photo=photo, by=patient, days=7)
    for number in range(MISSES):
        assert client.get(reverse("shared", args=[f"guess{number}"])).status_code == 404
    assert client.get(reverse("shared", args=["guess"])).status_code == 429
    # Also for the valid token, or a program would recognise it. From another address it works.
    assert client.get(reverse("shared", args=[token])).status_code == 429
    assert client.get(reverse("shared", args=[token]), REMOTE_ADDR="203.0.113.7").status_code == 200


def test_a_refused_picture_has_no_answer_for_a_guest(
    client: Client,
    patient: User,
    make_photo: MakePhoto,
    predict: Predict,
    assess: Assess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = predict(make_photo(patient), NEVUS, assessment=assess("not_assessed", "blurred"))
    _link, token = make_share_link(photo=photo, by=patient, days=1)
    html = client.get(reverse("shared", args=[token])).content.decode()
    assert "could not be assessed" in html
    assert "Melanocytic nevus" not in html and "70\xa0%" not in html
    caplog.clear()
    assert client.get(reverse("shared-heatmap", args=[token])).status_code == 404
    assert token not in caplog.text  # the link still shows the rest


def test_a_photo_that_waits_is_shown_without_asking_again(client: Client, patient: User, make_photo: MakePhoto) -> None:
    _link, token = make_share_link(photo=make_photo(patient), by=patient, days=1)
    html = client.get(reverse("shared", args=[token])).content.decode()
    assert "hx-get" not in html and "http-equiv" not in html


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_a_guest_chooses_the_language(language: str, client: Client, photo: Photo, patient: User) -> None:
    _link, token = make_share_link(photo=photo, by=patient, days=1)
    html = client.get(reverse("shared", args=[token]), {"language": language}).content.decode()
    assert f'<html lang="{language}"' in html
    assert "<html" in client.get(reverse("shared", args=[token]), {"language": "xx"}).content.decode()


def test_nothing_is_changed_through_an_address(client: Client, photo: Photo, patient: User) -> None:
    _link, token = make_share_link(photo=photo, by=patient, days=1)
    for name in PIECES:
        for method in ("post", "put", "patch", "delete"):
            assert getattr(client, method)(reverse(name, args=[token])).status_code == 405


# --- The owner's page


def made(browser: Client, photo: Photo, **form: object) -> tuple[str, str]:
    """Make a link in the page; returns the page and the address it shows."""
    response = browser.post(reverse("photo-share", args=[photo.pk]), {"days": 7, "label": "Dr O", **form})
    assert response.status_code == 200
    html = response.content.decode()
    found = re.search(r'value="(http://testserver/s/[\w-]{43}/)"', html)
    assert found is not None
    return html, found[1]


def test_the_address_is_shown_once(browser: Client, client: Client, photo: Photo) -> None:
    html, address = made(browser, photo)
    assert '<svg viewBox="0 0 ' in html and 'class="share-new__code"' in html
    assert "<path" in html and "Dr O" in html
    assert client.get(address).status_code == 200
    again = browser.get(reverse("photo-share", args=[photo.pk])).content.decode()
    assert "Dr O" in again and "Opened 1 time." in again
    assert address not in again


def test_closing_a_link_in_the_page(browser: Client, client: Client, photo: Photo) -> None:
    _html, address = made(browser, photo)
    link = ShareLink.objects.get()
    response = browser.post(reverse("photo-share-revoke", args=[photo.pk, link.pk]), follow=True)
    assert "The link is closed" in response.content.decode()
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("form", [{"days": ""}, {"days": 365}, {"days": "x"}, {"label": "x" * 101}])
def test_half_a_form_makes_no_link(form: dict[str, object], browser: Client, photo: Photo) -> None:
    response = browser.post(reverse("photo-share", args=[photo.pk]), {"days": 7, "label": "keep me", **form})
    assert response.status_code == 422
    assert not ShareLink.objects.exists()
    assert "field--wrong" in response.content.decode()


def test_one_link_too_many_is_said(browser: Client, photo: Photo, patient: User) -> None:
    for _ in range(MAX_OPEN):
        make_share_link(photo=photo, by=patient, days=DAYS[0])
    response = browser.post(reverse("photo-share", args=[photo.pk]), {"days": 7})
    assert response.status_code == 422
    assert "open links already" in response.content.decode()


@pytest.mark.parametrize(
    ("who", "status"), [("other_patient", 404), ("clinician", 403), ("administrator", 403), ("deactivated", 302)]
)
def test_nobody_else_shares_a_photo(
    who: str, status: int, photo: Photo, patient: User, request: pytest.FixtureRequest
) -> None:
    link, _token = make_share_link(photo=photo, by=patient, days=7)
    client = Client()
    client.force_login(request.getfixturevalue(who))
    page = reverse("photo-share", args=[photo.pk])
    assert client.get(page).status_code == status
    assert client.post(page, {"days": 7}).status_code == status
    assert client.post(reverse("photo-share-revoke", args=[photo.pk, link.pk])).status_code == status
    assert ShareLink.objects.open().count() == 1


def test_another_photos_link_is_not_closed_through_this_one(
    browser: Client, photo: Photo, other_patient: User, make_photo: MakePhoto
) -> None:
    others, _token = make_share_link(photo=make_photo(other_patient), by=other_patient, days=7)
    assert browser.post(reverse("photo-share-revoke", args=[photo.pk, others.pk])).status_code == 404
    assert ShareLink.objects.open().filter(pk=others.pk).exists()
