"""Assessments of made-up photos, in bulk."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo, PhotoAssessment, Prediction
from recognition.inference.case_mix import BALANCED
from recognition.taxonomy import CODES, MALIGNANT_POSITIONS

Assessed = Callable[..., list[PhotoAssessment]]


def table_of(code: str) -> list[float]:
    """Probabilities that are sure of one diagnosis."""
    return [0.65 if each == code else 0.05 for each in CODES]


@pytest.fixture
def assessed(patient: User) -> Assessed:
    """Record assessments of different photos: `assessed(live, [[0.65, ...], ...], image_type=CLOSE_UP)`.

    `outputs` are those of the network, the same for all. Without a kind they are rows from before there were kinds.
    """

    def do(
        classifier: Classifier,
        tables: Sequence[Sequence[float]],
        *,
        moment: datetime | None = None,
        image_type: str = "",
        outputs: dict[str, Any] | None = None,
        **photo: Any,
    ) -> list[PhotoAssessment]:
        moment = moment or timezone.now()
        photos = Photo.objects.bulk_create(
            Photo(
                **{
                    "owner": patient, "image": "x", "thumbnail": "x", "width": 1, "height": 1, "sha256": "1" * 64,
                    "original_sha256": uuid.uuid4().hex * 2, "original_format": "JPEG", "content_hash": bytes(32),
                    "created": moment, **photo,
                }
            )
            for _ in tables
        )  # fmt: skip
        predictions = Prediction.objects.bulk_create(
            Prediction(
                photo=each, classifier=classifier, runtime="test", duration_ms=1, created=moment, outputs=outputs
            )
            for each in photos
        )
        return PhotoAssessment.objects.bulk_create(
            PhotoAssessment(
                photo=prediction.photo, prediction=prediction, probabilities=list(table), created=moment,
                diagnosis=max(zip(table, CODES, strict=True))[1], confidence=max(table),
                malignant_score=sum(table[at] for at in MALIGNANT_POSITIONS), **_kind(image_type, table),
            )
            for prediction, table in zip(predictions, tables, strict=True)
        )  # fmt: skip

    return do


def _kind(image_type: str, table: Sequence[float]) -> dict[str, Any]:
    if not image_type:
        return {}
    return {
        "image_type": image_type, "image_type_source": "told", "case_mix": BALANCED.as_json(),
        "picture_alone": list(table), "picture_decision": "monitor",
    }  # fmt: skip
