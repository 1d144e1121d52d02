"""Every error under `/api/v1/` is a problem."""

import logging
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from accounts.models import User
from diagnoses.photos.models import Photo, PhotoQuerySet

URL = "/api/v1/photos/"


@pytest.mark.parametrize("path", ["", "photos", "photo/", "photos/not-a-uuid/", "photos/%00/", "../admin", "photos//"])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
def test_unknown_addresses_are_404_for_every_method(db: None, problem: Any, path: str, method: str) -> None:
    body = problem(getattr(Client(), method)(f"/api/v1/{path}"), 404, "not_found")
    assert "slash" in body["detail"]


def test_nobody_is_nobody(api: Any, problem: Any, db: None) -> None:
    response = api().get(URL)
    problem(response, 401, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("method", ["put", "patch", "options", "trace"])
def test_other_methods_are_405(api: Any, patient: User, problem: Any, method: str) -> None:
    response = api(patient).generic(method.upper(), URL)
    problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) >= {"GET", "POST"}


def test_too_many_requests_are_429_with_when_to_come_back(
    api: Any, patient: User, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"user": "3/min", "upload": "1/min", "anon": "2/min"})
    client = api(patient)
    assert [client.post(URL).status_code for _ in range(2)] == [400, 429]
    assert client.get(URL).status_code == 200
    response = client.get(URL)
    problem(response, 429, "throttled")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    cache.clear()
    answers = [api().post("/api/v1/token/", {}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]


def test_the_rates_of_the_settings_name_every_throttle() -> None:
    assert set(api_settings.DEFAULT_THROTTLE_RATES) == {"user", "anon", "upload"}


def test_a_surprise_is_a_500_that_tells_nothing_and_is_logged(
    api: Any, patient: User, problem: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprise(self: Any, user: Any) -> Any:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr(PhotoQuerySet, "visible_to", surprise)
    with caplog.at_level(logging.ERROR):
        response = api(patient).get(URL)
    problem(response, 500, "server_error")
    assert "secret" not in response.content.decode()
    assert "the secret inside" in caplog.text


def test_a_database_away_is_503_with_when_to_come_back(
    api: Any, patient: User, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Any, user: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(PhotoQuerySet, "visible_to", away)
    response = api(patient).get(URL)
    problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_answers_belong_into_no_cache(api: Any, patient: User, make_photo: Any) -> None:
    photo: Photo = make_photo(patient)
    for address in (URL, f"{URL}{photo.pk}/", "/api/v1/lesions/", "/api/v1/nowhere/"):
        assert api(patient).get(address).headers["Cache-Control"] == "private, no-store"


class TestLesions:
    def test_are_ones_own(self, api: Any, patient: User, other_patient: User, clinician: User) -> None:
        response = api(patient).post("/api/v1/lesions/", {"name": "left arm", "anatom_site_general": "upper extremity"})
        assert response.status_code == 201
        assert api(patient).get("/api/v1/lesions/").json()["results"] == [response.json()]
        for user in (other_patient, clinician):
            assert api(user).get("/api/v1/lesions/").json()["results"] == []

    def test_owner_and_id_are_not_asked(self, api: Any, patient: User, other_patient: User) -> None:
        body = {"name": "x", "owner": other_patient.pk, "id": "00000000-0000-0000-0000-000000000001"}
        lesion = api(patient).post("/api/v1/lesions/", body).json()
        assert lesion["id"] != body["id"]
        assert patient.lesions.filter(pk=lesion["id"]).exists()

    @pytest.mark.parametrize("name", ["", "   ", "x" * 101, None, ["x"], "n\x00l"])
    def test_a_name_is_needed(self, api: Any, patient: User, problem: Any, name: Any) -> None:
        body = problem(api(patient).post("/api/v1/lesions/", {"name": name}), 400, "invalid")
        assert [error["field"] for error in body["errors"]] == ["name"]

    def test_what_a_service_refuses_is_a_400(
        self, api: Any, patient: User, problem: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Errors of a service reach the client in the same form as those of a serializer."""
        from django.core.exceptions import ValidationError

        def refuse(**kwargs: Any) -> None:
            raise ValidationError({"name": "Not this one."})

        monkeypatch.setattr("diagnoses.lesions.api.create_lesion", refuse)
        body = problem(api(patient).post("/api/v1/lesions/", {"name": "x"}), 400, "invalid")
        assert body["errors"] == [{"field": "name", "code": "invalid", "detail": "Not this one."}]


def test_what_a_service_does_not_allow_is_403(
    api: Any, patient: User, other_patient: User, make_photo: Any, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a view forgets the permission check (here in its query), the service still refuses."""
    monkeypatch.setattr(PhotoQuerySet, "visible_to", lambda photos, _user: photos)
    body = problem(api(other_patient).post(f"{URL}{make_photo(patient).pk}/retry/"), 403, "permission_denied")
    assert "belongs to somebody else" not in body["detail"]
