"""Shared fixtures of this app: people, pictures and photos."""

import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from PIL import Image
from rest_framework.test import APIClient

from accounts.models import Consent, ConsentText, Purpose, Role, User
from accounts.services import withdraw_consent
from diagnoses.classifiers.models import Classifier
from diagnoses.photos import queue
from diagnoses.photos.assessments import assessor_of
from diagnoses.photos.models import Photo
from diagnoses.photos.predictions import claim_photo, record_prediction
from recognition.inference.assessment import CODES_OF, Assessment, Decision, Gate, GateResult
from tests.diagnoses.answers import made_outputs, record_answer, two_kinds_manifest

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fresh_limits(request: pytest.FixtureRequest) -> None:
    """Clear the rate limits between tests."""
    if {"db", "transactional_db"} & set(request.fixturenames) or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")
        cache.clear()


def consenting(email: str, name: str) -> User:
    """A patient who may upload. The consent row is made directly, because tests check the audit log."""
    user = User.objects.create_user(email, PASSWORD, name=name)
    Consent.objects.create(user=user, text=ConsentText.objects.get(purpose=Purpose.DIAGNOSIS))
    return user


@pytest.fixture
def patient(db: None) -> User:
    return consenting("patient.a@example.org", "Patient A")


@pytest.fixture
def silent(patient: User) -> User:
    """The patient, after withdrawing consent."""
    withdraw_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
    return patient


@pytest.fixture
def other_patient(db: None) -> User:
    return consenting("patient.b@example.org", "Patient B")


@pytest.fixture
def clinician(db: None) -> User:
    return User.objects.create_user("clinician@example.org", PASSWORD, name="Dr C", role=Role.CLINICIAN)


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("administrator@example.org", PASSWORD, name="Admin", role=Role.ADMINISTRATOR)


@pytest.fixture
def deactivated(db: None) -> User:
    return User.objects.create_user("gone@example.org", PASSWORD, name="Gone", role=Role.CLINICIAN, is_active=False)


Picture = Callable[..., bytes]


@pytest.fixture
def picture() -> Picture:
    """A synthetic picture that the sandbox accepts. Another `seed` makes another picture."""

    def make(seed: int = 1, size: tuple[int, int] = (160, 120), form: str = "JPEG") -> bytes:
        tile = Image.new("RGB", (8, 6))
        tile.putdata(
            [((seed * 37 + i * 29) % 256, (seed * 91 + i * 53) % 256, (i * i + seed) % 256) for i in range(48)]
        )
        buffer = io.BytesIO()
        tile.resize(size, Image.Resampling.BICUBIC).save(buffer, form)
        return buffer.getvalue()

    return make


MakePhoto = Callable[..., Photo]


@pytest.fixture
def make_photo(db: None) -> MakePhoto:
    """A photo as `submit_photo` makes it, but without the sandbox; its files hold bytes, not pixels."""

    def make(owner: User, **fields: Any) -> Photo:
        key = uuid.uuid4()
        folder = f"photos/{key.hex[:2]}/{key.hex}"
        values: dict[str, Any] = {
            "image": default_storage.save(f"{folder}/photo.jpg", ContentFile(b"image of " + key.bytes)),
            "thumbnail": default_storage.save(f"{folder}/thumbnail.jpg", ContentFile(b"thumbnail of " + key.bytes)),
            "width": 160,
            "height": 120,
            "sha256": key.hex * 2,
            "original_sha256": key.hex * 2,
            "original_format": "JPEG",
            "content_hash": key.bytes * 2,
            "shown_name": "spot.jpg",
        }
        return Photo.objects.create(id=key, owner=owner, **{**values, **fields})

    return make


@pytest.fixture
def classifier_row(db: None) -> Classifier:
    """The row of a live classifier, without files."""
    return Classifier.objects.create(
        version="test-1", sha256="c" * 64, manifest={}, stage=Classifier.Stage.LIVE, promoted=timezone.now()
    )


@pytest.fixture
def two_kinds(db: None) -> Classifier:
    """The row of a live classifier that knows both kinds of picture, see `two_kinds_manifest`."""
    return Classifier.objects.create(
        version="two-kinds",
        sha256=uuid.uuid4().hex * 2,
        manifest=two_kinds_manifest(),
        stage=Classifier.Stage.LIVE,
        promoted=timezone.now(),
    )


@pytest.fixture
def measure(two_kinds: Classifier) -> Callable[..., Photo]:
    """Record what `two_kinds` measured of a queued photo, like a worker: `measure(photo, 0.2, dermoscopic=0.9)` has a
    probability of 0.2 for melanoma and the rest for a mole, at the balanced case mix.
    """

    def do(photo: Photo, melanoma: float, **measured: Any) -> Photo:
        claim = claim_photo(photo.pk)
        assert claim is not None
        recorded = record_prediction(
            claim=claim,
            classifier=two_kinds,
            outputs=made_outputs([melanoma, 1 - melanoma, *[1e-9] * 6], **measured),
            assessor=assessor_of(two_kinds),
            heatmap_png=None,
            runtime="test",
            duration_ms=12,
        )
        assert recorded is not None
        return Photo.objects.get(pk=photo.pk)

    return do


MELANOMA = [0.6, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]


Assess = Callable[..., Assessment]


@pytest.fixture
def assess() -> Assess:
    """An assessment like a classifier's: `assess("soon", score=6)`, `assess("not_assessed", "blurred")`."""

    def make(decision: str, *codes: str, **values: Any) -> Assessment:
        def result(gate: Gate) -> GateResult:
            code = next((code for code in codes if code in CODES_OF[gate]), "")
            return GateResult(gate, not code, code, 3.25, 12.5)

        if decision == Decision.MONITOR:
            values.setdefault("monitor_days", 90)
        values.setdefault("score", None)
        return Assessment(Decision(decision), gates=tuple(result(gate) for gate in Gate), **values)

    return make


@pytest.fixture
def predict(classifier_row: Classifier) -> Callable[..., Photo]:
    """Record a result of a queued photo, like a worker. Without an assessment the rows are as from before these."""

    def do(
        photo: Photo,
        probabilities: list[float] | None = None,
        heatmap: bytes | None = b"\x89PNG heat",
        assessment: Assessment | None = None,
    ) -> Photo:
        claim = claim_photo(photo.pk)
        assert claim is not None
        recorded = record_answer(claim, classifier_row, probabilities or MELANOMA, assessment, heatmap)
        assert recorded is not None
        return Photo.objects.get(pk=photo.pk)

    return do


Api = Callable[[User | None], APIClient]


@pytest.fixture
def api() -> Api:
    """A client with a token of this user, or without a token."""

    def client(user: User | None = None) -> APIClient:
        # With CSRF checks as in production. Unexpected errors are responses, not exceptions.
        client = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
        if user is not None:
            _row, token = AuthToken.objects.create(user=user)
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    return client


Problem = Callable[..., dict[str, Any]]


@pytest.fixture
def problem() -> Problem:
    """Assert that a response is a complete problem with this status and code. Returns it."""

    def check(response: Any, status: int, code: str) -> dict[str, Any]:
        assert response.headers["Content-Type"] == "application/problem+json", response.content
        body: dict[str, Any] = response.json()
        assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
        assert body["type"] and body["title"] and body["detail"]
        assert set(body) <= {"type", "title", "status", "detail", "code", "errors"}
        return body

    return check


SignIn = Callable[[User], Client]


@pytest.fixture
def sign_in() -> SignIn:
    """A client signed in as a user, with CSRF checks."""

    def do(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return do


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no broker: these tests are only about rows in the database."""
    monkeypatch.setattr(queue._publisher, "publish", lambda photo_ids, patience: False)
