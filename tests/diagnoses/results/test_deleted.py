"""A page that is open while its photo is deleted."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_the_waiting_page_is_told_and_asks_no_more(
    patient: User, other_patient: User, make_photo: Any, sign_in: Callable[[User], Client]
) -> None:
    client, photo = sign_in(patient), make_photo(patient)
    address = reverse("photo-status", args=[photo.pk])
    part = {"HX-Request": "true"}
    assert "hx-get" in client.get(address, headers=part).content.decode()
    photo.delete()
    answer = client.get(address, headers=part)
    assert answer.status_code == 200
    assert "no longer here" in answer.content.decode()
    assert "hx-get" not in answer.content.decode()
    assert client.get(address).status_code == 404
    # Nobody learns whether a photo is there: another's is answered like one that never was.
    hers = make_photo(other_patient)
    foreign = client.get(reverse("photo-status", args=[hers.pk]), headers=part)
    never = client.get(reverse("photo-status", args=[uuid.uuid4()]), headers=part)
    assert foreign.content == never.content == answer.content
