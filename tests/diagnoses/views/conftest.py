"""A browser of each person, without the browser."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from diagnoses import queue

SignIn = Callable[[User], Client]


@pytest.fixture
def sign_in() -> SignIn:
    """A client signed in as somebody; CSRF is checked as for real."""

    def do(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return do


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes messages: what these tests are about ends with the row in the database."""
    monkeypatch.setattr(queue._publisher, "publish", lambda photo_ids, patience: False)
