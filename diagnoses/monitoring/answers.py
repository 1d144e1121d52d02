"""What a classifier answered to pictures lately, by kind of picture: for the alarm and for drift.

The probabilities are computed again from the stored outputs of the network, for the picture alone and for the sealed
case mix. So neither what people told nor a case mix that an operator states can hide a broken network, and the answers
can be compared with the reference that was sealed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnoses.classifiers.description import case_mix_of
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import PhotoAssessment
from recognition.inference.bundle import image_type_blocks
from recognition.inference.calibration import Calibration
from recognition.taxonomy import DERMOSCOPIC

Answers = dict[str, NDArray[np.float64]]
"""Probabilities (N, 8) by kind of picture, newest first."""


def picture_answers(classifier: Classifier, *, most: int, looked_through: int) -> Answers:
    """The newest answers of `classifier`, one for each different picture, at most `most` of a kind.

    `looked_through` is the number of rows that are searched. Refused pictures are included: a broken network makes
    every picture out of distribution. Rows without a kind are from before there were two: all were taken for
    dermoscopic. One query.
    """
    rows = PhotoAssessment.objects.filter(prediction__classifier=classifier).order_by(
        "-prediction__created", "-created"
    )
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    calibrations = _calibrations(classifier.manifest)
    mix = case_mix_of(classifier.manifest)
    wanted = ("photo__original_sha256", "image_type", "picture_alone", "probabilities", "prediction__outputs")
    for sha256, image_type, alone, probabilities, outputs in rows.values_list(*wanted)[:looked_through]:
        kind = image_type or DERMOSCOPIC
        answers = found.setdefault(kind, {})
        if sha256 in answers or len(answers) == most:
            continue
        calibration = calibrations.get(kind)
        answers[sha256] = (
            np.asarray(alone or probabilities)
            if outputs is None or calibration is None
            else calibration.probabilities(np.asarray(outputs["logits"]), mix)
        )
    return {kind: np.stack(list(answers.values())) for kind, answers in found.items()}


def sealed_references(classifier: Classifier) -> dict[str, dict[str, Any]]:
    """The sealed reference of each kind of picture that the classifier knows; see `degenerate_output`."""
    blocks = image_type_blocks(classifier.manifest)
    return {kind: block.get("assessment", {}).get("live") or {} for kind, block in blocks.items()}


def _calibrations(manifest: dict[str, Any]) -> dict[str, Calibration]:
    return {kind: Calibration.from_json(block["calibration"]) for kind, block in image_type_blocks(manifest).items()}
