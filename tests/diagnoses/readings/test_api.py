"""Reviews and readings in the API: no prediction before the blind answer, and each step only once."""

from typing import Any

import pytest

from accounts.models import Role, User
from diagnoses.photos.models import Photo
from diagnoses.readings.models import Reading

URL = "/api/v1/photos/"
REVEALING = ("probabilities", "malignant_score", "confidence", "heatmap_url")


@pytest.fixture
def second(db: None) -> User:
    return User.objects.create_user("second@example.org", "correct horse battery", name="Dr D", role=Role.CLINICIAN)


@pytest.fixture
def photo(patient: User, make_photo: Any, predict: Any) -> Photo:
    read: Photo = predict(make_photo(patient))
    return read


def answers(client: Any, photo: Photo, diagnosis: str, **final: Any) -> Any:
    """Begin, blind answer, final answer. Returns the last response."""
    readings = f"{URL}{photo.pk}/readings/"
    assert client.post(readings).status_code == 201
    assert client.post(f"{readings}blind/", {"answer": "diagnosis", "diagnosis": diagnosis}).status_code == 200
    said = {"answer": "diagnosis", "diagnosis": diagnosis, "management": "discharge", **final}
    return client.post(f"{readings}final/", said)


class TestReview:
    def test_asked_for_once(self, api: Any, patient: User, photo: Photo, problem: Any) -> None:
        client, address = api(patient), f"{URL}{photo.pk}/review/"
        assert client.get(address).json() == {
            "state": "unread", "requested": None, "closed": None, "wants_a_visit": False, "outcome": None,
        }  # fmt: skip
        asked = client.post(address)
        assert asked.status_code == 202 and asked.json()["requested"]
        problem(client.post(address), 409, "review_under_way")
        assert client.get(f"{URL}{photo.pk}/").json()["review_requested"] == asked.json()["requested"]

    def test_by_the_owner_alone(
        self, api: Any, other_patient: User, clinician: User, photo: Photo, problem: Any
    ) -> None:
        address = f"{URL}{photo.pk}/review/"
        problem(api(other_patient).get(address), 404, "not_found")
        problem(api(other_patient).post(address), 404, "not_found")
        problem(api(clinician).post(address), 403, "not_owner")
        photo.refresh_from_db()
        assert photo.review_requested is None

    def test_its_outcome(self, api: Any, patient: User, clinician: User, photo: Photo) -> None:
        done = answers(api(clinician), photo, "NV", note="harmless", override_reason="a plain mole")
        assert done.status_code == 200
        review = api(patient).get(f"{URL}{photo.pk}/review/").json()
        assert review["state"] == "read"
        assert review["outcome"]["diagnosis"]["code"] == "NV"
        assert (review["outcome"]["management"], review["outcome"]["notes"]) == ("discharge", ["harmless"])


class TestReading:
    def test_nothing_is_revealed_before_the_blind_answer(self, api: Any, clinician: User, photo: Photo) -> None:
        client, readings = api(clinician), f"{URL}{photo.pk}/readings/"
        for response in (client.get(readings), client.post(readings), client.get(readings)):
            assert not [word for word in REVEALING if word in response.content.decode()]
        begun = client.get(readings).json()[0]
        assert (begun["role"], begun["prediction"], begun["revealed"]) == ("first", None, None)
        blind = client.post(f"{readings}blind/", {"answer": "diagnosis", "diagnosis": "NV"}).json()
        assert blind["prediction"]["diagnosis"]["code"] == "MEL" and blind["revealed"]

    def test_each_step_counts_once(self, api: Any, clinician: User, photo: Photo, problem: Any) -> None:
        client, readings = api(clinician), f"{URL}{photo.pk}/readings/"
        problem(client.post(f"{readings}blind/", {"answer": "unusable"}), 404, "not_begun")
        client.post(readings)
        problem(client.post(f"{readings}final/", {"answer": "unusable"}), 409, "reading_not_revealed")
        problem(client.post(f"{readings}blind/", {"answer": "diagnosis"}), 400, "invalid")
        client.post(f"{readings}blind/", {"answer": "diagnosis", "diagnosis": "NV"})
        said = {"answer": "diagnosis", "diagnosis": "BKL"}
        problem(client.post(f"{readings}blind/", said), 409, "reading_blind_stands")
        problem(client.post(f"{readings}final/", {**said, "management": "discharge"}), 400, "invalid")
        final = {"answer": "diagnosis", "diagnosis": "NV", "management": "discharge", "override_reason": "plain"}
        assert client.post(f"{readings}final/", final).status_code == 200
        problem(client.post(f"{readings}final/", final), 409, "reading_already")
        problem(client.post(readings), 409, "reading_already")
        assert Reading.objects.get().diagnosis == "NV"

    def test_the_second_reader_knows_nothing_of_the_first(
        self, api: Any, clinician: User, second: User, photo: Photo
    ) -> None:
        answers(api(clinician), photo, "MEL", management="biopsy", note="first note")
        photo.refresh_from_db()
        assert photo.review_state == Photo.ReviewState.SECOND
        client, readings = api(second), f"{URL}{photo.pk}/readings/"
        assert client.get(readings).json() == []
        assert client.post(readings).json()["role"] == "second"
        assert "first note" not in client.get(readings).content.decode()
        client.post(f"{readings}blind/", {"answer": "diagnosis", "diagnosis": "MEL"})
        assert len(client.get(readings).json()) == 1
        client.post(f"{readings}final/", {"answer": "diagnosis", "diagnosis": "MEL", "management": "biopsy"})
        assert [reading["role"] for reading in client.get(readings).json()] == ["first", "second"]

    def test_patients_neither_read_nor_write_them(
        self, api: Any, patient: User, other_patient: User, photo: Photo, problem: Any
    ) -> None:
        readings = f"{URL}{photo.pk}/readings/"
        for address in (readings, f"{readings}blind/", f"{readings}final/"):
            problem(api(patient).post(address, {"answer": "unusable"}), 403, "clinicians_only")
            problem(api(other_patient).post(address, {"answer": "unusable"}), 404, "not_found")
        problem(api(patient).get(readings), 403, "clinicians_only")
        assert not Reading.objects.exists()
