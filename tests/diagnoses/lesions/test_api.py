"""Lesions in the API: name, place, reminder; other users may read them or nothing."""

import uuid
from typing import Any

from django.utils import timezone

from accounts.models import AuditEntry, User
from diagnoses.lesions.models import Lesion, Reminder

URL = "/api/v1/lesions/"


def watched(lesion: Lesion, make_photo: Any, predict: Any, assess: Any) -> None:
    """A photo of the spot with the advice to photograph it again."""
    predict(make_photo(lesion.owner, lesion=lesion), assessment=assess("monitor", score=2))


class TestPlace:
    def test_a_place_says_the_site(self, api: Any, patient: User) -> None:
        place = {"view": "front", "x": 0.5, "y": 0.3}
        response = api(patient).post(URL, {"name": "mole", "place": place})
        assert response.status_code == 201
        body = response.json()
        assert body["place"] == place and body["anatom_site_general"]
        assert api(patient).get(f"{URL}{body['id']}/").json() == {**body, "joint_prediction": None}
        assert api(patient).get(URL).json()["results"] == [body]

    def test_without_one(self, api: Any, patient: User) -> None:
        body = api(patient).post(URL, {"name": "mole"}).json()
        assert (body["place"], body["anatom_site_general"]) == (None, "")

    def test_a_place_that_is_none(self, api: Any, patient: User, problem: Any) -> None:
        for place in ({"view": "side", "x": 0, "y": 0}, {"view": "front", "x": 2, "y": 0}, {"view": "front"}, "front"):
            problem(api(patient).post(URL, {"name": "mole", "place": place}), 400, "invalid")
        assert not Lesion.objects.exists()

    def test_put_says_all_of_it(self, api: Any, patient: User) -> None:
        client = api(patient)
        made = client.post(URL, {"name": "mole", "place": {"view": "front", "x": 0.5, "y": 0.3}}).json()
        changed = client.put(f"{URL}{made['id']}/", {"name": "left shoulder", "owner": 1})
        assert changed.status_code == 200
        assert changed.json() == {**made, "name": "left shoulder", "anatom_site_general": "", "place": None}

    def test_a_name_that_is_taken(self, api: Any, patient: User, problem: Any) -> None:
        client = api(patient)
        client.post(URL, {"name": "mole"})
        other = client.post(URL, {"name": "spot"}).json()
        problem(client.put(f"{URL}{other['id']}/", {"name": "Mole"}), 400, "invalid")


class TestOthers:
    def test_another_patient(self, api: Any, patient: User, other_patient: User, problem: Any) -> None:
        lesion = Lesion.objects.create(owner=patient, name="mole")
        client = api(other_patient)
        for address in (f"{URL}{lesion.pk}/", f"{URL}{uuid.uuid4()}/"):
            problem(client.get(address), 404, "not_found")
            problem(client.put(address, {"name": "x"}), 404, "not_found")
            problem(client.delete(address), 404, "not_found")
            problem(client.post(f"{address}reminder/", {"months": 3}), 404, "not_found")
        lesion.refresh_from_db()
        assert lesion.name == "mole"

    def test_a_clinician_reads_and_it_is_written_down(
        self, api: Any, patient: User, clinician: User, problem: Any
    ) -> None:
        lesion = Lesion.objects.create(owner=patient, name="mole")
        client = api(clinician)
        address = f"{URL}{lesion.pk}/"
        assert client.get(address).json()["name"] == "mole"
        assert AuditEntry.objects.filter(actor=str(clinician.pk), subject=f"lesion:{lesion.pk}").exists()
        problem(client.put(address, {"name": "x"}), 403, "not_owner")
        problem(client.delete(address), 403, "not_owner")
        problem(client.get(f"{address}reminder/"), 403, "not_owner")
        problem(client.delete(f"{address}reminder/"), 403, "not_owner")
        assert client.get(URL).json()["results"] == [], "the list is one's own"


def test_deleting_takes_the_photos_along(api: Any, patient: User, make_photo: Any) -> None:
    lesion = Lesion.objects.create(owner=patient, name="mole")
    make_photo(patient, lesion=lesion)
    assert api(patient).delete(f"{URL}{lesion.pk}/").status_code == 204
    assert not Lesion.objects.exists() and not patient.photos.exists()


class TestReminder:
    def test_set_read_replaced_and_called_off(
        self, api: Any, patient: User, make_photo: Any, predict: Any, assess: Any, problem: Any
    ) -> None:
        lesion = Lesion.objects.create(owner=patient, name="mole")
        watched(lesion, make_photo, predict, assess)
        client, address = api(patient), f"{URL}{lesion.pk}/reminder/"
        problem(client.get(address), 404, "no_reminder")
        made = client.post(address, {"months": 3})
        assert made.status_code == 201 and made.json()["months"] == 3
        assert client.get(address).json() == made.json()
        assert client.post(address, {"months": 12}).json()["due"] > str(timezone.localdate())
        assert Reminder.objects.standing().count() == 1
        assert client.delete(address).status_code == 204
        assert client.delete(address).status_code == 204
        problem(client.get(address), 404, "no_reminder")

    def test_another_number_of_months(self, api: Any, patient: User, problem: Any) -> None:
        lesion = Lesion.objects.create(owner=patient, name="mole")
        for months in (1, 0, -3, "soon", None, 3.5):
            problem(api(patient).post(f"{URL}{lesion.pk}/reminder/", {"months": months}), 400, "invalid")

    def test_no_reminder_stands_in_for_a_doctor(
        self, api: Any, patient: User, make_photo: Any, predict: Any, assess: Any, problem: Any
    ) -> None:
        lesion = Lesion.objects.create(owner=patient, name="mole")
        address = f"{URL}{lesion.pk}/reminder/"
        problem(api(patient).post(address, {"months": 3}), 409, "reminder_no_photo")
        photo = make_photo(patient, lesion=lesion)
        problem(api(patient).post(address, {"months": 3}), 409, "reminder_waiting")
        predict(photo, assessment=assess("soon", score=8))
        problem(api(patient).post(address, {"months": 3}), 409, "reminder_doctor")
