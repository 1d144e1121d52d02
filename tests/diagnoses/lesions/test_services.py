"""Spots: create, place, rename, delete; move photos between them; views by others."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage

from accounts.models import AuditEntry, Notification, User
from accounts.permissions import NotAllowed
from accounts.services.notifications import notify
from diagnoses.lesions import services as lesions
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.lesions.services import BodyPlace, change_lesion, create_lesion, delete_lesion, move_photos, view_lesion
from diagnoses.photos.models import Photo

pytestmark = pytest.mark.django_db
MakePhoto = Callable[..., Photo]
SHOULDER = BodyPlace.of_region("front-left-arm")


def test_a_place_on_the_drawing_says_the_site(patient: User) -> None:
    lesion = create_lesion(owner=patient, name=" left   arm ", place=SHOULDER)
    lesion.refresh_from_db()
    assert (lesion.name, lesion.anatom_site_general, lesion.body_view) == ("left arm", "upper extremity", "front")
    assert lesion.is_placed
    assert (lesion.body_x, lesion.body_y) == (SHOULDER.x, SHOULDER.y)


@pytest.mark.parametrize(
    "place", [BodyPlace("front", 1.2, 0.5), BodyPlace("inside", 0.5, 0.5), BodyPlace("front", float("nan"), 0.5)]
)
def test_a_place_that_is_none_is_refused(patient: User, place: BodyPlace) -> None:
    with pytest.raises((ValidationError, ValueError)):
        create_lesion(owner=patient, name="arm", place=place)
    assert not Lesion.objects.exists()


def test_a_fresh_spot_gets_the_next_free_name(patient: User, other_patient: User) -> None:
    create_lesion(owner=other_patient, name="back 2")
    names = [create_lesion(owner=patient, name="Back" if n else "back", fresh=True).name for n in range(3)]
    assert names == ["back", "Back 2", "Back 3"]
    assert create_lesion(owner=patient, name="BACK").name == "back"


def test_a_record_has_its_limit(patient: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesions, "MAX_LESIONS", 1)
    create_lesion(owner=patient, name="one")
    with pytest.raises(ValidationError, match="as many as fit"):
        create_lesion(owner=patient, name="two")
    assert create_lesion(owner=patient, name="One").name == "one"


def test_a_spot_is_renamed_and_moved_by_its_owner_alone(patient: User, clinician: User, other_patient: User) -> None:
    lesion = create_lesion(owner=patient, name="arm", place=SHOULDER)
    for somebody in (clinician, other_patient):
        with pytest.raises(NotAllowed):
            change_lesion(lesion=lesion, by=somebody, name="mine")
    assert Lesion.objects.get().name == "arm"
    changed = change_lesion(lesion=lesion, by=patient, name="Arm ", anatom_site_general="head/neck")
    changed.refresh_from_db()
    assert (changed.name, changed.anatom_site_general, changed.body_view, changed.body_x) == (
        "Arm", "head/neck", "", None,
    )  # fmt: skip


def test_two_spots_of_one_person_have_two_names(patient: User, other_patient: User) -> None:
    create_lesion(owner=other_patient, name="arm")
    create_lesion(owner=patient, name="leg")
    lesion = create_lesion(owner=patient, name="back")
    change_lesion(lesion=lesion, by=patient, name="arm")
    with pytest.raises(ValidationError, match="has this name"):
        change_lesion(lesion=lesion, by=patient, name="LEG")


def test_photos_move_between_ones_own_spots_only(
    patient: User, other_patient: User, clinician: User, make_photo: MakePhoto
) -> None:
    arm, leg = create_lesion(owner=patient, name="arm"), create_lesion(owner=patient, name="leg")
    foreign = create_lesion(owner=other_patient, name="theirs")
    one, two = make_photo(patient, lesion=arm), make_photo(patient)
    theirs = make_photo(other_patient, lesion=foreign)
    assert move_photos(photo_ids=[one.pk, two.pk, theirs.pk], lesion=leg, by=patient) == 2
    assert set(leg.photos.all()) == {one, two}
    assert Photo.objects.get(pk=theirs.pk).lesion == foreign
    assert move_photos(photo_ids=[one.pk], lesion=None, by=patient) == 1
    assert move_photos(photo_ids=[two.pk], lesion=leg, by=patient) == 0
    with pytest.raises(NotAllowed):
        move_photos(photo_ids=[two.pk], lesion=foreign, by=patient)
    with pytest.raises(NotAllowed):
        move_photos(photo_ids=[two.pk], lesion=leg, by=clinician)
    assert Photo.objects.get(pk=two.pk).lesion == leg


@pytest.mark.django_db(transaction=True)
def test_a_deleted_spot_takes_its_photos_files_and_news_along(
    patient: User, clinician: User, make_photo: MakePhoto
) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    photos = [make_photo(patient, lesion=lesion) for _ in range(2)]
    kept = make_photo(patient)
    Reminder.objects.create(lesion=lesion, months=3, due="2030-01-01")
    notify(user=patient, kind="reminder", subject=f"lesion:{lesion.pk}", path="/spots/", key="k")
    with pytest.raises(NotAllowed):
        delete_lesion(lesion=lesion, by=clinician)
    assert delete_lesion(lesion=lesion, by=patient) == 2
    assert list(Photo.objects.all()) == [kept]
    assert not Lesion.objects.exists() and not Reminder.objects.exists() and not Notification.objects.exists()
    assert not any(default_storage.exists(str(photo.image.name)) for photo in photos)
    assert default_storage.exists(str(kept.image.name))
    entry = AuditEntry.objects.get(action=AuditEntry.Action.LESION_DELETED)
    assert (entry.subject, entry.actor, entry.detail) == (f"lesion:{lesion.pk}", str(patient.pk), {"photos": 2})
    assert delete_lesion(lesion=lesion, by=patient) == 0


def test_a_look_by_a_clinician_is_recorded_once_an_hour(patient: User, clinician: User, other_patient: User) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    view_lesion(lesion=lesion, by=patient)
    assert not AuditEntry.objects.exists()
    for _ in range(2):
        view_lesion(lesion=lesion, by=clinician)
    assert AuditEntry.objects.get().subject == f"lesion:{lesion.pk}"
    with pytest.raises(NotAllowed):
        view_lesion(lesion=lesion, by=other_patient)


def test_spots_are_visible_by_the_rule_of_photos(
    patient: User, other_patient: User, clinician: User, administrator: User, deactivated: User
) -> None:
    lesion = create_lesion(owner=patient, name="arm")
    seen = {user.email: list(Lesion.objects.visible_to(user)) for user in (patient, clinician, administrator)}
    assert all(lesions == [lesion] for lesions in seen.values())
    assert not Lesion.objects.visible_to(other_patient).exists()
    assert not Lesion.objects.visible_to(deactivated).exists()
