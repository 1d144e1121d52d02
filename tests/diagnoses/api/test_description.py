"""The OpenAPI description is complete and correct, and its page works under our content security policy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver

from accounts.models import User
from recognition.taxonomy import CODES, IMAGE_TYPES


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema as the command writes it. Any warning fails the test."""
    path: Path = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", file=str(path))
    described: dict[str, Any] = json.loads(path.read_text())
    return described


def test_every_address_of_the_api_is_described(schema: dict[str, Any]) -> None:
    api: Any = next(entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/")
    addresses = {
        "/api/v1/" + re.sub(r"<uuid:(\w+)>", r"{\1}", str(entry.pattern))
        for entry in api.url_patterns
        if entry.name not in {"api-schema", "api-docs", "api-nothing"}
    }
    assert set(schema["paths"]) == addresses


def test_every_operation_says_how_it_fails(schema: dict[str, Any]) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            failures = {status for status in operation["responses"] if status >= "400"}
            assert "401" in failures, (path, method)
            for status in failures:
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"], (path, method)
            assert operation["summary"] and operation["description"], (path, method)


def test_the_words_are_the_vocabulary(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    assert list(components["Probabilities"]["properties"]) == list(CODES)
    assert set(components["Probabilities"]["required"]) == set(CODES)
    assert components["DiagnosisCode"]["enum"] == list(CODES)
    assert components["ImageTypeEnum"]["enum"] == list(IMAGE_TYPES)
    assert components["PhotoStatusEnum"]["enum"] == ["queued", "predicting", "predicted", "failed"]


def check(value: Any, described: dict[str, Any], components: dict[str, Any], where: str) -> None:
    """A small validator: types, required and unknown properties, enums, nullability."""
    if "$ref" in described:
        return check(value, components[described["$ref"].rsplit("/", 1)[1]], components, where)
    if value is None:
        assert described.get("nullable"), where
        return None
    for part in described.get("allOf", []):
        check(value, part, components, where)
    if "oneOf" in described:
        assert any(_fits(value, part, components, where) for part in described["oneOf"]), where
        return None
    if "enum" in described:
        assert value in described["enum"], where
    kind = described.get("type")
    python: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    if kind:
        assert isinstance(value, python[kind]), (where, value)
    if kind == "object":
        properties = described.get("properties", {})
        assert set(value) <= set(properties), (where, set(value) - set(properties))
        assert set(described.get("required", [])) <= set(value), where
        for name, inner in value.items():
            check(inner, properties[name], components, f"{where}.{name}")
    if kind == "array":
        for inner in value:
            check(inner, described["items"], components, f"{where}[]")
    return None


def _fits(value: Any, described: dict[str, Any], components: dict[str, Any], where: str) -> bool:
    try:
        check(value, described, components, where)
    except AssertionError:
        return False
    return True


def test_real_answers_are_as_described(
    schema: dict[str, Any], api: Any, patient: User, clinician: User, make_photo: Any, predict: Any, assess: Any
) -> None:
    waiting, done = make_photo(patient), predict(make_photo(patient))
    assessed = predict(make_photo(patient), assessment=assess("monitor", score=2, prediction_set=("NV", "BKL")))
    refused = predict(make_photo(patient), assessment=assess("not_assessed", "blurred", prediction_set=("NV", "BKL")))
    client = api(clinician)
    said = {"diagnosis": "MEL", "source": "clinician"}
    findings = f"/api/v1/photos/{done.pk}/findings/"
    answers = [
        ("/api/v1/photos/{photo_id}/findings/", "post", client.post(findings, said)),
        ("/api/v1/photos/{photo_id}/findings/", "get", client.get(findings)),
        ("/api/v1/photos/", "get", client.get("/api/v1/photos/?page_size=1")),
        ("/api/v1/photos/{photo_id}/", "get", client.get(f"/api/v1/photos/{waiting.pk}/")),
        ("/api/v1/photos/{photo_id}/", "get", client.get(f"/api/v1/photos/{done.pk}/")),
        ("/api/v1/photos/{photo_id}/", "get", client.get(f"/api/v1/photos/{assessed.pk}/")),
        ("/api/v1/photos/{photo_id}/", "get", client.get(f"/api/v1/photos/{refused.pk}/")),
        ("/api/v1/photos/{photo_id}/", "get", api(patient).get(f"/api/v1/photos/{refused.pk}/")),
        ("/api/v1/photos/{photo_id}/", "get", api().get(f"/api/v1/photos/{done.pk}/")),
        ("/api/v1/lesions/", "post", client.post("/api/v1/lesions/", {"name": "left arm"})),
        ("/api/v1/lesions/", "post", client.post("/api/v1/lesions/", {"name": ""})),
        ("/api/v1/lesions/", "get", client.get("/api/v1/lesions/")),
    ]
    for path, method, response in answers:
        responses = schema["paths"][path][method]["responses"]
        content = responses[str(response.status_code)]["content"][response.headers["Content-Type"]]
        check(response.json(), content["schema"], schema["components"]["schemas"], f"{method} {path}")


def test_the_page_runs_nothing_inline(db: None) -> None:
    page = Client().get("/api/v1/docs/")
    html = page.content.decode()
    assert page.status_code == 200
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\bsrc=)|javascript:", html)
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    script = Client().get("/api/v1/docs/?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert '"/api/v1/schema/"' in script.content.decode().replace("\\u002D", "-")
    assert not re.search(r"https?://", html.replace("http://testserver", ""))
