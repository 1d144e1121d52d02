"""A full disk and a lost database have their own messages, keep the form, and lose nothing (RELIABILITY R20)."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from accounts.models import User
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.views import upload
from diagnoses.photos.models import Photo

URL = "/photos/new/"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]


@pytest.fixture
def browser(patient: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(patient)
    return client


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    default_storage.exists("")  # initialises the lazy object
    monkeypatch.setattr(default_storage._wrapped, "_save", refuse)  # type: ignore[attr-defined]  # its inside


def send(browser: Client, picture: Callable[..., bytes], **headers: str) -> Any:
    image = SimpleUploadedFile("spot.jpg", picture(), "image/jpeg")
    form = {"image": image, "lesion_name": "left shoulder", "age_approx": "45", "upload_key": "k"}
    return browser.post(URL, form, headers=headers)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk(browser: Client, picture: Any) -> None:
    response = send(browser, picture)
    page = response.content.decode()
    assert response.status_code == 507
    assert "There is no room for another photo" in page
    assert "left shoulder" in page and "45" in page, "what was filled in is still there"
    assert not Photo.objects.exists() and not Lesion.objects.exists()


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_to_the_pages_program(browser: Client, picture: Any) -> None:
    response = send(browser, picture, accept="application/json")
    assert response.status_code == 507
    (problem,) = response.json()["problems"]
    assert "There is no room for another photo" in problem["words"]
    assert not Photo.objects.exists() and not Lesion.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("script", [False, True])
def test_a_database_that_breaks_off_and_is_back(
    browser: Client, picture: Any, monkeypatch: pytest.MonkeyPatch, script: bool
) -> None:
    def lost(**_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(upload, "submit_photo", lost)
        response = send(browser, picture, **({"accept": "application/json"} if script else {}))
    page = response.content.decode()
    assert response.status_code == 503
    assert "Please send the photo again" in page
    # upload.js keeps the form. Without JavaScript the response contains the filled-in form.
    assert ("left shoulder" in page) != script
    assert send(browser, picture).status_code == 302
    assert Photo.objects.count() == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("could not connect"), 503, "Back in a moment"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "No room at the moment"),
        (OSError(errno.EACCES, "Permission denied"), 500, "Something went wrong here"),
        (ZeroDivisionError(), 500, "Something went wrong here"),
    ],
)
def test_before_any_view(
    browser: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    """Loading the user fails: here in the session, as with a database that is really down."""

    def fail(self: SessionStore) -> Any:
        raise error

    monkeypatch.setattr(SessionStore, "load", fail)
    response = browser.get(reverse("photo-list"))
    assert response.status_code == status
    assert words in response.content.decode()
    assert ("Retry-After" in response.headers) == (status != 500)
    part = browser.get(reverse("photo-list"), headers={"HX-Request": "true"})
    assert part.status_code == 500, "a whole page is not put into a part of one"
