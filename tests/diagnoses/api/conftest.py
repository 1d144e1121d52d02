"""Clients of the API."""

from collections.abc import Callable
from typing import Any

import pytest
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts.models import User

Api = Callable[[User | None], APIClient]


@pytest.fixture
def api() -> Api:
    """A client with a token of this user, or of nobody."""

    def client(user: User | None = None) -> APIClient:
        # CSRF on, as in the real world; unexpected errors are answers here, not exceptions.
        client = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
        if user is not None:
            _row, token = AuthToken.objects.create(user=user)
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    return client


Problem = Callable[..., dict[str, Any]]


@pytest.fixture
def problem() -> Problem:
    """Assert that an answer is a problem of this status and code, in full form; returns it."""

    def check(response: Any, status: int, code: str) -> dict[str, Any]:
        assert response.headers["Content-Type"] == "application/problem+json", response.content
        body: dict[str, Any] = response.json()
        assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
        assert body["type"] and body["title"] and body["detail"]
        assert set(body) <= {"type", "title", "status", "detail", "code", "errors"}
        return body

    return check
