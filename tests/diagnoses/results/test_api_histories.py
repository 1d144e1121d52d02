"""The reported history in the API: with the upload or afterwards, once, and its effect on the decision."""

import io
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import User
from diagnoses.photos.models import Photo, PhotoHistory

URL = "/api/v1/photos/"


def upload(client: Any, data: bytes, **fields: Any) -> Any:
    image = SimpleUploadedFile("spot.jpg", io.BytesIO(data).getvalue(), content_type="image/jpeg")
    return client.post(URL, {"image": image, **fields}, format="multipart")


def test_with_the_upload(api: Any, patient: User, picture: Any) -> None:
    client = api(patient)
    said = {"duration": "months", "change_size": "true", "itch": "false", "bleeding": "", "note": "since spring"}
    made = upload(client, picture(), **said)
    assert made.status_code == 202
    history = client.get(made.json()["url"]).json()["history"]
    assert history.pop("told")
    assert history == {
        "duration": "months", "change_size": True, "change_shape": None, "change_colour": None, "raised": None,
        "diameter_7mm": None, "inflamed": None, "bleeding": None, "itch": False, "pain": None,
        "note": "since spring",
        "checklist_score": 2, "needs_a_doctor": True,
    }  # fmt: skip


def test_an_upload_without_answers_has_none(api: Any, patient: User, picture: Any) -> None:
    made = upload(api(patient), picture())
    assert api(patient).get(made.json()["url"]).json()["history"] is None
    assert not PhotoHistory.objects.exists()


def test_an_answer_that_is_none(api: Any, patient: User, picture: Any, problem: Any) -> None:
    body = problem(upload(api(patient), picture(), change_size="perhaps", duration="ages"), 400, "invalid")
    assert {error["field"] for error in body["errors"]} == {"change_size", "duration"}
    assert not Photo.objects.exists()


def test_told_afterwards_it_outweighs_the_picture(
    api: Any, patient: User, make_photo: Any, predict: Any, assess: Any, problem: Any
) -> None:
    photo = predict(make_photo(patient), assessment=assess("monitor", score=2))
    client, address = api(patient), f"{URL}{photo.pk}/history/"
    before = client.get(f"{URL}{photo.pk}/").json()["assessment"]
    assert before["decision"] == "monitor" and before["photograph_by"]
    problem(client.post(address, {}), 400, "invalid")
    told = client.post(address, {"raised": True})
    assert told.status_code == 201
    after = told.json()["assessment"]
    assert after["decision"] == "soon" and after["photograph_by"] is None
    assert "what you say of the spot does not" in after["detail"]
    again = client.post(address, {"raised": False})
    assert again.status_code == 201
    assert (again.json()["history"]["raised"], again.json()["assessment"]["decision"]) == (False, "monitor")
    assert PhotoHistory.objects.filter(photo=photo).count() == 2


def test_only_the_owner_tells_it(
    api: Any, patient: User, other_patient: User, clinician: User, make_photo: Any, problem: Any
) -> None:
    address = f"{URL}{make_photo(patient).pk}/history/"
    problem(api(other_patient).post(address, {"raised": True}), 404, "not_found")
    problem(api(clinician).post(address, {"raised": True}), 403, "not_owner")
    problem(api().post(address, {"raised": True}), 401, "not_authenticated")
    assert not PhotoHistory.objects.exists()
