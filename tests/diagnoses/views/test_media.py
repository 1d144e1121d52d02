"""The pictures: who gets them, and what a browser may do with them."""

from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from accounts.models import User
from diagnoses.models import Photo

MEDIA = {"photo-image": "image/jpeg", "photo-thumbnail": "image/jpeg", "photo-heatmap": "image/png"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(patient: User, make_photo: Callable[..., Photo], predict: Callable[..., Photo]) -> Photo:
    return predict(make_photo(patient, shown_name="x\r\nX-Injected: 1.jpg"))


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("who", ["patient", "clinician"])
def test_those_who_may_see_it_get_it_locked_down(
    name: str, who: str, photo: Photo, request: pytest.FixtureRequest, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(request.getfixturevalue(who) if who != "patient" else photo.owner)
    response = client.get(reverse(name, args=[photo.pk]))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == MEDIA[name]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith(f'inline; filename="teri-{photo.pk}')
    assert "X-Injected" not in str(response.headers)
    assert b"".join(response.streaming_content)  # type: ignore[attr-defined]  # a FileResponse


@pytest.mark.parametrize("name", MEDIA)
def test_others_are_told_it_does_not_exist(
    name: str, photo: Photo, other_patient: User, sign_in: Callable[[User], Client]
) -> None:
    assert sign_in(other_patient).get(reverse(name, args=[photo.pk])).status_code == 404


@pytest.mark.parametrize("name", MEDIA)
def test_strangers_are_sent_to_sign_in(name: str, photo: Photo, client: Client) -> None:
    url = reverse(name, args=[photo.pk])
    response = client.get(url)
    assert response.status_code == 302
    assert response.headers["Location"] == f"{reverse('account_login')}?next={url}"


def test_no_heatmap_without_evidence_or_prediction(
    patient: User, make_photo: Callable[..., Photo], predict: Callable[..., Photo], sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(patient)
    waiting, without = make_photo(patient), predict(make_photo(patient), heatmap=None)
    for photo in (waiting, without):
        assert client.get(reverse("photo-heatmap", args=[photo.pk])).status_code == 404


def test_a_missing_file_is_a_404_and_a_line_in_the_log(
    photo: Photo, sign_in: Callable[[User], Client], caplog: pytest.LogCaptureFixture
) -> None:
    name = str(photo.image.name)
    default_storage.delete(name)
    assert sign_in(photo.owner).get(reverse("photo-image", args=[photo.pk])).status_code == 404
    assert name in caplog.text
    assert photo.owner.email not in caplog.text
