"""The admin of this app: its pages, that they are read-only, and that views are audited."""

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion
from diagnoses.photos.models import KnownImage, Photo, PhotoAssessment, Prediction, Worker
from diagnoses.readings.models import Finding

READ_ONLY = [Photo, PhotoAssessment, Prediction, Finding, Lesion, Classifier, KnownImage, Worker]


@pytest.fixture
def browser(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def changelist(model: Any) -> str:
    return reverse(f"admin:diagnoses_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("model", READ_ONLY)
def test_nothing_is_added_changed_or_deleted(model: Any, browser: Client, administrator: User) -> None:
    assert browser.get(changelist(model)).status_code == 200
    assert browser.get(f"{changelist(model)}add/").status_code == 403
    request = type("Request", (), {"user": administrator})()
    shown = admin.site.get_model_admin(model)
    assert not shown.has_add_permission(request)
    assert not shown.has_change_permission(request)
    assert not shown.has_delete_permission(request)


def test_keys_to_accounts_are_not_shown(browser: Client) -> None:
    index = browser.get("/admin/").content.decode()
    assert "/admin/knox/" not in index
    assert "/admin/mfa/" not in index
    assert "/admin/auth/" not in index


def test_photos_are_found_by_owner_and_by_id(
    browser: Client, patient: User, other_patient: User, make_photo: Any
) -> None:
    mine, theirs = make_photo(patient), make_photo(other_patient)
    for query in (patient.email, str(mine.pk)):
        page = browser.get(changelist(Photo), {"q": query}).content.decode()
        assert str(mine.pk) in page
        assert str(theirs.pk) not in page
    assert browser.get(changelist(Photo), {"q": "not-a-uuid"}).status_code == 200


def test_photos_are_filtered_by_how_they_were_taken(browser: Client, patient: User, make_photo: Any) -> None:
    wanted, other = make_photo(patient, image_type="dermoscopic"), make_photo(patient, image_type="clinical: close-up")
    page = browser.get(changelist(Photo), {"image_type__exact": "dermoscopic"}).content.decode()
    assert str(wanted.pk) in page and str(other.pk) not in page
    assert '<td class="field-image_type">through a dermatoscope</td>' in page
    assert "through a dermatoscope" in browser.get(f"{changelist(Photo)}{wanted.pk}/change/").content.decode()


def test_pages_show_no_stored_name(browser: Client, patient: User, make_photo: Any, predict: Any) -> None:
    photo = predict(make_photo(patient))
    addresses = [changelist(Photo), f"{changelist(Photo)}{photo.pk}/change/"]
    addresses += [changelist(Prediction), f"{changelist(Prediction)}{photo.prediction.pk}/change/"]
    addresses += [changelist(PhotoAssessment), f"{changelist(PhotoAssessment)}{photo.assessment.pk}/change/"]
    for address in addresses:
        page = browser.get(address).content.decode()
        assert str(photo.pk) in page
        assert photo.image.name not in page and photo.prediction.heatmap.name not in page
    assert reverse("photo-thumbnail", args=[photo.pk]) in browser.get(changelist(Photo)).content.decode()


def test_opening_a_photo_is_audited(browser: Client, administrator: User, patient: User, make_photo: Any) -> None:
    photo = make_photo(patient)
    looks = AuditEntry.objects.filter(action=AuditEntry.Action.PHOTO_VIEWED, subject=f"photo:{photo.pk}")
    browser.get(changelist(Photo))
    assert not looks.exists()
    assert browser.get(f"{changelist(Photo)}{photo.pk}/change/").status_code == 200
    assert [look.actor for look in looks] == [str(administrator.pk)]


def test_lists_cost_the_same_for_3_and_for_30(
    browser: Client, patient: User, clinician: User, make_photo: Any, predict: Any
) -> None:
    def add(count: int) -> None:
        for _ in range(count):
            photo = predict(make_photo(patient))
            Lesion.objects.create(owner=patient, name=str(photo.pk))
            Finding.objects.create(photo=photo, diagnosis="NV", source="clinician", recorded_by=clinician)

    def costs() -> dict[str, int]:
        counted = {}
        for model in READ_ONLY:
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(changelist(model)).status_code == 200
            counted[model.__name__] = len(queries)
        return counted

    add(3)
    costs()  # the first request of a process fills caches
    few = costs()
    add(27)
    assert costs() == few
