"""The kind of picture in the API, and what a prediction says of how it was made."""

from typing import Any

import pytest

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.histories import HistoryAnswers, record_history
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

URL = "/api/v1/photos/"


def kind_of(body: dict[str, Any]) -> tuple[str, str | None, bool]:
    return body["image_type"], body["image_type_source"], body["contradicted"]


def test_a_photo_says_its_kind_and_how_that_is_known(api: Any, patient: User, make_photo: Any, measure: Any) -> None:
    def read(photo: Any) -> tuple[str, str | None, bool]:
        return kind_of(api(patient).get(f"{URL}{photo.pk}/").json())

    assert read(make_photo(patient)) == ("", None, False)
    assert read(make_photo(patient, image_type=CLOSE_UP)) == (CLOSE_UP, "told", False)
    assert read(measure(make_photo(patient), 0.2, dermoscopic=0.02)) == (CLOSE_UP, "recognised", False)
    assert read(measure(make_photo(patient), 0.2)) == ("", None, False), "an assumption is not known"
    told = make_photo(patient, image_type=DERMOSCOPIC)
    assert read(measure(told, 0.2, dermoscopic=0.02)) == (DERMOSCOPIC, "told", True)


@pytest.fixture
def photo(patient: User, make_photo: Any, measure: Any) -> Any:
    return measure(make_photo(patient, image_type=DERMOSCOPIC), 0.2, dermoscopic=0.02)


def test_a_kind_told_wrongly_is_corrected(api: Any, patient: User, clinician: User, photo: Any) -> None:
    address = f"{URL}{photo.pk}/"
    assert api(patient).get(address).json()["assessment"]["decision"] == "monitor"
    corrected = api(clinician).patch(address, {"image_type": CLOSE_UP})
    assert corrected.status_code == 200
    assert kind_of(corrected.json()) == (CLOSE_UP, "told", False)
    assert corrected.json()["assessment"]["decision"] == "soon"
    assert kind_of(api(patient).patch(address, {"image_type": ""}).json()) == (CLOSE_UP, "recognised", False)


def test_only_by_whom_it_concerns_and_to_a_kind_there_is(
    api: Any, patient: User, other_patient: User, photo: Any, problem: Any
) -> None:
    address = f"{URL}{photo.pk}/"
    problem(api(other_patient).patch(address, {"image_type": CLOSE_UP}), 404, "not_found")
    problem(api().patch(address, {"image_type": CLOSE_UP}), 401, "not_authenticated")
    for wrong in ({}, {"image_type": "x-ray"}):
        body = problem(api(patient).patch(address, wrong), 400, "invalid")
        assert [error["field"] for error in body["errors"]] == ["image_type"]


def test_a_prediction_says_what_it_is_for_and_what_counted(
    api: Any, patient: User, photo: Any, two_kinds: Classifier
) -> None:
    def read() -> dict[str, Any]:
        body: dict[str, Any] = api(patient).get(f"{URL}{photo.pk}/").json()["prediction"]
        return body

    before = read()
    assert before["case_mix"] == two_kinds.manifest["case_mix"]
    assert (before["metadata"], before["picture_alone"]) == ({}, before["probabilities"])
    record_history(photo=photo, by=patient, answers=HistoryAnswers(change_size=True, pain=True, itch=True))
    after = read()
    assert after["metadata"] == {"grew": "True", "hurt": "True"}, "what counted, and not the itch"
    assert after["picture_alone"] == before["probabilities"]
    assert after["probabilities"]["MEL"] > after["picture_alone"]["MEL"]


def test_a_prediction_from_before_says_that_it_does_not_know(
    api: Any, patient: User, make_photo: Any, predict: Any
) -> None:
    body = api(patient).get(f"{URL}{predict(make_photo(patient)).pk}/").json()["prediction"]
    assert (body["case_mix"], body["picture_alone"], body["metadata"]) == (None, None, {})
