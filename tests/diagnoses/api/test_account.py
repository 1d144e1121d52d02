"""Notifications, share links and the export in the API: only the user's own."""

import io
import uuid
import zipfile
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from accounts.models import AuditEntry, Notification, User
from accounts.services import notify
from diagnoses.photos.models import Photo
from diagnoses.sharing.models import ShareLink

NEWS = "/api/v1/notifications/"


@pytest.fixture
def photo(patient: User, make_photo: Any) -> Photo:
    made: Photo = make_photo(patient)
    return made


class TestNotifications:
    def test_ones_own_in_words(self, api: Any, patient: User, other_patient: User) -> None:
        for user in (patient, other_patient):
            notify(
                user=user, kind="result", subject="photo:1", path="/photos/1/", key="1",
                data={"spot": f"spot of {user.pk}"},
            )  # fmt: skip
        (shown,) = api(patient).get(NEWS).json()["results"]
        assert shown["title"] and f"spot of {patient.pk}" in shown["detail"]
        assert shown["url"] == "http://testserver/photos/1/" and shown["read"] is None

    def test_marked_one_by_one_or_all(self, api: Any, patient: User, other_patient: User, problem: Any) -> None:
        mine = [notify(user=patient, kind="result", subject="photo:1", path="/", key=key) for key in "abc"]
        theirs = notify(user=other_patient, kind="result", subject="photo:1", path="/", key="a")
        assert mine[0] is not None and theirs is not None
        client = api(patient)
        assert client.post(f"{NEWS}read/", {"id": theirs.pk}).json() == {"marked": 0}
        assert client.post(f"{NEWS}read/", {"id": mine[0].pk}).json() == {"marked": 1}
        assert len(client.get(f"{NEWS}?unread=true").json()["results"]) == 2
        assert client.post(f"{NEWS}read/", {}).json() == {"marked": 2}
        assert Notification.objects.unread().get() == theirs
        problem(client.post(f"{NEWS}read/", {"id": 10**40}), 400, "invalid")


class TestShareLinks:
    def test_made_shown_once_and_closed(self, api: Any, patient: User, photo: Photo) -> None:
        client, address = api(patient), f"/api/v1/photos/{photo.pk}/share-links/"
        made = client.post(address, {"days": 7, "label": "Dr N"})
        assert made.status_code == 201
        path = urlsplit(made.json()["url"]).path
        assert Client().get(path).status_code == 200
        (listed,) = client.get(address).json()
        assert listed["label"] == "Dr N" and "url" not in listed
        assert path.split("/")[2] not in client.get(address).content.decode()
        assert client.delete(f"{address}{listed['id']}/").status_code == 204
        assert client.delete(f"{address}{listed['id']}/").status_code == 204
        assert Client().get(path).status_code == 404

    def test_by_the_owner_alone(
        self, api: Any, patient: User, other_patient: User, clinician: User, photo: Photo, problem: Any
    ) -> None:
        address = f"/api/v1/photos/{photo.pk}/share-links/"
        made = api(patient).post(address, {"days": 1}).json()
        for user, status, code in ((other_patient, 404, "not_found"), (clinician, 403, "not_owner")):
            client = api(user)
            problem(client.get(address), status, code)
            problem(client.post(address, {"days": 1}), status, code)
            problem(client.delete(f"{address}{made['id']}/"), status, code)
        assert ShareLink.objects.get().is_open

    def test_another_photos_link(self, api: Any, patient: User, photo: Photo, make_photo: Any, problem: Any) -> None:
        made = api(patient).post(f"/api/v1/photos/{photo.pk}/share-links/", {"days": 1}).json()
        other = make_photo(patient)
        problem(api(patient).delete(f"/api/v1/photos/{other.pk}/share-links/{made['id']}/"), 404, "not_found")
        problem(api(patient).delete(f"/api/v1/photos/{photo.pk}/share-links/{uuid.uuid4()}/"), 404, "not_found")

    def test_another_number_of_days(self, api: Any, patient: User, photo: Photo, problem: Any) -> None:
        for days in (0, 2, 365, "long", None):
            problem(api(patient).post(f"/api/v1/photos/{photo.pk}/share-links/", {"days": days}), 400, "invalid")
        assert not ShareLink.objects.exists()


def test_the_export_holds_ones_own(
    api: Any, patient: User, other_patient: User, photo: Photo, make_photo: Any, problem: Any
) -> None:
    theirs = make_photo(other_patient)
    client = api(patient)
    response = client.get("/api/v1/account/export/")
    assert response.status_code == 200 and response.headers["Content-Type"] == "application/zip"
    whole = b"".join(response.streaming_content)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        everything = "\n".join(archive.namelist()) + archive.read("account.json").decode()
    assert str(photo.pk) in everything or photo.pk.hex in everything
    assert theirs.pk.hex not in everything and other_patient.email not in everything
    assert AuditEntry.objects.filter(action="account-exported", actor=str(patient.pk)).count() == 1
    assert "Retry-After" in client.get("/api/v1/account/export/").headers
    problem(api().get("/api/v1/account/export/"), 401, "not_authenticated")
