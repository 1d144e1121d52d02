"""Migrations that move rows, on a filled database of before: in a schema of its own, which goes again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = "before_assessments"
MARCH, APRIL = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
NEVUS = {
    "probabilities": [0.05, 0.65, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05],
    "diagnosis": "NV",
    "confidence": 0.65,
    "malignant_score": 0.15,
}
RUN = {"runtime": "onnx", "duration_ms": 5}


def migrate(name: str) -> Apps:
    """Migrate this app to a migration. Returns the models as they are then."""
    apps: Apps = MigrationExecutor(connection).migrate([("diagnoses", name)]).apps
    return apps


@pytest.fixture
def before() -> Iterator[Apps]:
    """The models as they were before photos had assessments, with empty tables."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(f"SET search_path TO {SCHEMA}")
    try:
        yield migrate("0009_photo_image_type")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO public")
            cursor.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_what_predictions_said_and_readers_saw_is_kept(before: Apps) -> None:
    def rows(name: str) -> Any:
        return before.get_model("diagnoses", name).objects

    person = before.get_model("accounts", "User").objects.create(email="p@example.org")
    old, new = (rows("Classifier").create(version=name, sha256=name, manifest={}) for name in ("old", "new"))
    photo, unpredicted = (
        rows("Photo").create(owner=person, width=1, height=1, content_hash=bytes(32), created=MARCH) for _ in range(2)
    )
    first = rows("Prediction").create(photo=photo, classifier=old, created=MARCH, **NEVUS, **RUN)
    second = rows("Prediction").create(
        photo=photo, classifier=new, created=APRIL, decision="soon", score=4, assessment={"decision": "soon"},
        heatmap="h.png", **NEVUS, **RUN,
    )  # fmt: skip
    rows("Photo").filter(pk=photo.pk).update(prediction=second)
    reading = rows("Reading").create(
        photo=photo, reader=person, role="first", blind_answer="cannot-say", revealed=MARCH, prediction=first
    )
    rows("Finding").create(photo=photo, prediction=first, diagnosis="BKL", source="histopathology", recorded_by=person)
    history = rows("PhotoHistory").create(photo=photo, itch=True)

    after = migrate("0011_histories_told_again")

    def kept(name: str, **key: Any) -> Any:
        return after.get_model("diagnoses", name).objects.get(**key)

    row = kept("PhotoAssessment", prediction_id=second.pk)
    assert {name: getattr(row, name) for name in NEVUS} == NEVUS
    assert (row.photo_id, row.decision, row.score, row.assessment) == (photo.pk, "soon", 4, {"decision": "soon"})
    assert (row.created, row.image_type, row.case_mix, row.metadata, row.used) == (APRIL, "", None, {}, [])
    row = kept("PhotoAssessment", prediction_id=first.pk)
    assert (row.created, row.decision, row.score, row.assessment) == (MARCH, "", None, None)
    assert kept("Prediction", pk=second.pk).heatmap.name == "h.png"
    assert kept("Prediction", pk=second.pk).outputs is None
    assert kept("Photo", pk=photo.pk).assessment.prediction_id == second.pk
    assert kept("Photo", pk=photo.pk).history_id == history.pk
    assert kept("Reading").assessment.prediction_id == kept("Finding").assessment.prediction_id == first.pk
    assert (kept("Photo", pk=unpredicted.pk).assessment, kept("Photo", pk=unpredicted.pk).history) == (None, None)
    assert (kept("PhotoHistory").created, kept("PhotoHistory").itch, kept("PhotoHistory").pain) == (MARCH, True, None)

    for name, change in (
        ("PhotoAssessment", {"confidence": 0.5}),
        ("PhotoHistory", {"itch": False}),
        ("Reading", {"assessment": second.pk}),
    ):
        with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
            after.get_model("diagnoses", name).objects.update(**change)
    # A reading that goes on can still be written.
    assert after.get_model("diagnoses", "Reading").objects.filter(pk=reading.pk).update(note="seen") == 1
