"""The assessment in the API: fields for everybody, and fields only for clinicians."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from diagnoses.labels import GATE_REASONS, SAFETY_NET
from diagnoses.photos.models import Photo
from recognition.inference.assessment import Decision

URL = "/api/v1/photos/"

pytestmark = pytest.mark.django_db


def read(client: Any, photo: Photo) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"{URL}{photo.pk}/").json()
    return body


def test_an_assessment_in_full(api: Any, patient: User, make_photo: Any, predict: Any, assess: Any) -> None:
    taken = timezone.now() - timedelta(days=3)
    made = assess("monitor", "uncertain", score=2, prediction_set=("NV", "BKL"), monitor_days=60)
    photo = predict(make_photo(patient, created=taken), assessment=made)
    body = read(api(patient), photo)
    day = (timezone.localdate(taken) + timedelta(days=60)).isoformat()
    assessment = body["assessment"]
    assert (assessment["decision"], assessment["score"], assessment["photograph_by"]) == ("monitor", 2, day)
    assert assessment["prediction_set"] == [
        {"code": "NV", "name": "Melanocytic nevus"},
        {"code": "BKL", "name": "Benign keratosis"},
    ]
    assert assessment["title"].startswith("Photograph it again by")
    assert "no all-clear" in assessment["detail"]
    assert assessment["safety_net"] == str(SAFETY_NET)
    assert [gate["gate"] for gate in assessment["gates"]] == ["quality", "familiarity", "certainty"]
    assert assessment["gates"][0] == {
        "gate": "quality", "passed": True, "code": "", "detail": "", "measured": 3.25, "limit": 12.5,
    }  # fmt: skip
    assert assessment["gates"][2]["code"] == "uncertain"
    assert str(GATE_REASONS["uncertain"].why) in assessment["gates"][2]["detail"]
    assert body["prediction"]["diagnosis"]["code"] == "MEL"


@pytest.mark.parametrize("decision", ["urgent", "soon"])
def test_only_monitoring_has_a_day(
    decision: str, api: Any, patient: User, make_photo: Any, predict: Any, assess: Any
) -> None:
    assessment = read(api(patient), predict(make_photo(patient), assessment=assess(decision)))["assessment"]
    assert (assessment["decision"], assessment["photograph_by"], assessment["score"]) == (decision, None, None)
    assert assessment["prediction_set"] == []


def test_what_was_refused_is_an_answer_for_clinicians_alone(
    api: Any, patient: User, clinician: User, administrator: User, make_photo: Any, predict: Any, assess: Any
) -> None:
    refused = assess("not_assessed", "blurred", prediction_set=("MEL", "NV"))
    photo = predict(make_photo(patient), assessment=refused)
    body = read(api(patient), photo)
    assert body["status"] == "predicted"
    assert body["prediction"] is None
    assert body["assessment"]["decision"] == Decision.NOT_ASSESSED
    assert body["assessment"]["prediction_set"] == []
    assert body["assessment"]["gates"][0]["code"] == "blurred"
    assert str(GATE_REASONS["blurred"].remedy) in body["assessment"]["gates"][0]["detail"]
    listed = api(patient).get(URL).json()["results"][0]
    assert listed["prediction"] is None
    assert "Melanoma" not in str(body)
    for reviewer in (clinician, administrator):
        body = read(api(reviewer), photo)
        assert body["prediction"]["diagnosis"]["code"] == "MEL"
        assert [each["code"] for each in body["assessment"]["prediction_set"]] == ["MEL", "NV"]


def test_without_an_assessment_it_is_null(api: Any, patient: User, make_photo: Any, predict: Any, assess: Any) -> None:
    client = api(patient)
    assert read(client, make_photo(patient))["assessment"] is None
    old = read(client, predict(make_photo(patient)))
    assert old["assessment"] is None
    assert old["prediction"] is not None
    again = predict(make_photo(patient), assessment=assess("soon"))
    Photo.objects.filter(pk=again.pk).update(status=Photo.Status.QUEUED)
    assert read(client, again)["assessment"] is None


def test_a_list_of_assessments_costs_no_query_more(
    api: Any, patient: User, make_photo: Any, predict: Any, assess: Any
) -> None:
    client = api(patient)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(URL).status_code == 200
        return len(captured)

    predict(make_photo(patient), assessment=assess("soon"))
    one = queries()
    for _ in range(5):
        predict(make_photo(patient), assessment=assess("monitor"))
    predict(make_photo(patient), assessment=assess("not_assessed", "too_dark"))
    assert queries() == one
