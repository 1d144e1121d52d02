"""Results of photos for the tests, recorded like a worker without a network."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.assessments import Assesses, make_current
from diagnoses.photos.models import Photo, PhotoAssessment, Prediction
from diagnoses.photos.notifications import result_ready
from diagnoses.photos.predictions import Claim, record_prediction
from recognition.inference.assessment import Assessment
from recognition.inference.assessor import Answer, AssessmentSettings, Assessor, ImageTypeSettings
from recognition.inference.bundle import FORMAT_VERSION, SEALED_FILES, Manifest
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED
from recognition.inference.metadata import Strengths
from recognition.inference.outputs import PictureOutputs
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, MALIGNANT_POSITIONS

PLAIN: Final = Assessor(
    dict.fromkeys((DERMOSCOPIC, CLOSE_UP), ImageTypeSettings(Calibration(1.0, 0.0, Strengths()), AssessmentSettings()))
)
"""An assessor that knows both kinds of picture and answers the probabilities of the network as they are."""


def two_kinds_manifest(**changes: Any) -> dict[str, Any]:
    """The JSON of a valid manifest that knows both kinds of picture, answers and the balanced case mix.

    Thresholds are 0.3 for "soon" and 0.6 for "urgent"; on close-ups 0.1 and 0.6. An answer to "grew" moves melanoma by
    a factor of 20 either way, and "hurt" counts as well; age, sex and site do not.
    """
    points = {"soon": {"threshold": 0.3}, "urgent": {"threshold": 0.6}}
    kinds = {}
    for name, soon in ((DERMOSCOPIC, 0.3), (CLOSE_UP, 0.1)):
        kinds[name] = {
            "calibration": {
                "temperature": 1.0, "prior_strength": 1.0, "strengths": {"demographics": 0.0, "answers": 1.0},
            },
            "operating_points": [],
            "assessment": {"decision": {**points, "soon": {"threshold": soon}}, "monitor_days": 90},
            "metrics": {},
        }  # fmt: skip
    steps = {word: [sign * 3.0, *[0.0] * 7] for word, sign in (("True", 1), ("False", -1))}
    manifest = Manifest.from_json(json.loads((settings.DEFAULT_BUNDLE_DIR / "manifest.json").read_bytes()))
    table = {"grew": steps, "hurt": {"True": [0.5, *[0.0] * 7]}}
    files = {name: manifest.files[name] for name in SEALED_FILES}
    values = {
        "files": files,
        "image_type_head": {},
        "case_mix": BALANCED.as_json(),
        "image_types": kinds,
        "metadata_table": table,
        "lesion": {},
        "absent": (),
        "format_version": FORMAT_VERSION,
    }
    return json.loads(replace(manifest, **{**values, **changes}).as_bytes())  # type: ignore[no-any-return]  # an object


def made_outputs(probabilities: Sequence[float], **measured: Any) -> PictureOutputs:
    """The outputs of a picture whose network answers these eight probabilities."""
    return PictureOutputs(np.log(np.maximum(probabilities, 1e-12)), **measured)


@dataclass(frozen=True)
class Saying:
    """An assessor that gives every picture this assessment."""

    assessment: Assessment

    def assess(self, outputs: PictureOutputs, **known: Any) -> Answer:
        """See `Assessor.assess`."""
        answer = PLAIN.assess(outputs, **known)
        return replace(answer, assessment=self.assessment, picture_decision=self.assessment.decision)


def record_answer(
    claim: Claim,
    classifier: Classifier,
    probabilities: Sequence[float],
    assessment: Assessment | None = None,
    heatmap: bytes | None = None,
) -> PhotoAssessment | None:
    """Record the result of a claimed photo. Without an assessment the rows are as from before there were any."""
    if assessment is None:
        return _record_as_before(claim, classifier, list(probabilities), heatmap)
    assessor: Assesses = Saying(assessment)
    return record_prediction(
        claim=claim,
        classifier=classifier,
        outputs=made_outputs(probabilities),
        assessor=assessor,
        heatmap_png=heatmap,
        runtime="test",
        duration_ms=12,
    )


@transaction.atomic
def _record_as_before(
    claim: Claim, classifier: Classifier, probabilities: list[float], heatmap: bytes | None
) -> PhotoAssessment:
    photo = Photo.objects.select_for_update().get(pk=claim.photo_id, lease=claim.lease)
    top = int(np.argmax(probabilities))
    prediction = Prediction(photo=photo, classifier=classifier, runtime="test", duration_ms=12)
    if heatmap is not None:
        name = f"photos/{photo.pk.hex[:2]}/{photo.pk.hex}/heatmap-{uuid.uuid4().hex}.png"
        prediction.heatmap.save(name, ContentFile(heatmap), save=False)
    prediction.save()
    assessment = PhotoAssessment.objects.create(
        photo=photo,
        prediction=prediction,
        probabilities=probabilities,
        diagnosis=CODES[top],
        confidence=probabilities[top],
        malignant_score=min(1.0, sum(probabilities[position] for position in MALIGNANT_POSITIONS)),
    )
    make_current(photo, assessment, status=Photo.Status.PREDICTED, lease=None, lease_expires=None)
    result_ready(photo=photo, assessment=assessment)
    return assessment
