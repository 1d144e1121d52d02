"""The pictures: permission, and headers for the browser."""

import datetime
from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuditEntry, User
from diagnoses.photos.models import Photo
from recognition.inference.assessment import Assessment

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


def test_the_heatmap_of_a_refused_picture_is_for_clinicians_alone(
    patient: User,
    clinician: User,
    make_photo: Callable[..., Photo],
    predict: Callable[..., Photo],
    assess: Callable[..., Assessment],
    sign_in: Callable[[User], Client],
    api: Callable[[User], APIClient],
) -> None:
    photo = predict(make_photo(patient), assessment=assess("not_assessed", "blurred"))
    for name, client in (("photo-heatmap", sign_in), ("api-photo-heatmap", api)):
        url = reverse(name, args=[photo.pk])
        assert client(patient).get(url).status_code == 404
        response = client(clinician).get(url)
        assert response.status_code == 200
        assert b"".join(response.streaming_content)  # type: ignore[attr-defined]  # read to its end, the file closes


def test_a_missing_file_is_a_404_and_a_line_in_the_log(
    photo: Photo, sign_in: Callable[[User], Client], caplog: pytest.LogCaptureFixture
) -> None:
    name = str(photo.image.name)
    default_storage.delete(name)
    assert sign_in(photo.owner).get(reverse("photo-image", args=[photo.pk])).status_code == 404
    assert name in caplog.text
    assert photo.owner.email not in caplog.text


class TestAudit:
    """Views by anybody but the owner are audited, also of the picture alone (RELIABILITY R16)."""

    def ask(self, client: Client, name: str, photo: Photo, **headers: str) -> None:
        response = client.get(reverse(name, args=[photo.pk]), headers=headers)
        assert response.status_code == 200
        if response.streaming:
            assert b"".join(response.streaming_content)  # type: ignore[attr-defined]  # read to its end, the file closes

    def looks(self, photo: Photo, by: User) -> int:
        return AuditEntry.objects.filter(
            action=AuditEntry.Action.PHOTO_VIEWED, subject=f"photo:{photo.pk}", actor=str(by.pk)
        ).count()

    @pytest.mark.parametrize("name", ["photo-image", "photo-heatmap"])
    def test_of_a_picture_asked_for_by_itself_once_an_hour(
        self, name: str, photo: Photo, clinician: User, administrator: User, sign_in: Callable[[User], Client],
    ) -> None:  # fmt: skip
        client = sign_in(clinician)
        for _ in range(3):
            self.ask(client, name, photo, Range="bytes=0-1")
        assert self.looks(photo, clinician) == 1
        self.ask(sign_in(administrator), name, photo)
        assert self.looks(photo, administrator) == 1, "one person's look is not another's"

    def test_an_old_look_does_not_count(self, photo: Photo, clinician: User, sign_in: Callable[[User], Client]) -> None:
        AuditEntry.objects.create(
            actor=str(clinician.pk),
            action=AuditEntry.Action.PHOTO_VIEWED,
            subject=f"photo:{photo.pk}",
            created=timezone.now() - datetime.timedelta(minutes=61),
        )
        self.ask(sign_in(clinician), "photo-image", photo)
        assert self.looks(photo, clinician) == 2

    def test_with_the_page_around_it_once(
        self, photo: Photo, clinician: User, sign_in: Callable[[User], Client]
    ) -> None:
        client = sign_in(clinician)
        for name in ("photo", "photo-image", "photo-heatmap", "photo-thumbnail"):
            self.ask(client, name, photo)
        assert self.looks(photo, clinician) == 1

    def test_ones_own_leaves_none(self, photo: Photo, sign_in: Callable[[User], Client]) -> None:
        self.ask(sign_in(photo.owner), "photo-image", photo)
        assert not AuditEntry.objects.filter(action=AuditEntry.Action.PHOTO_VIEWED).exists()
