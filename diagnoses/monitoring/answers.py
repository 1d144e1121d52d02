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


class SealedAnswers:
    """Computes answers for the picture alone and the sealed case mix, from what a classifier measured."""

    def __init__(self, classifier: Classifier) -> None:
        blocks = image_type_blocks(classifier.manifest)
        self._calibrations = {kind: Calibration.from_json(block["calibration"]) for kind, block in blocks.items()}
        self._mix = case_mix_of(classifier.manifest)

    def of(self, outputs: dict[str, Any] | None, image_type: str) -> NDArray[np.float64] | None:
        """The probabilities (8,); None for rows from before outputs were kept, and for a kind that it does not know."""
        calibration = self._calibrations.get(image_type)
        if outputs is None or calibration is None:
            return None
        return calibration.probabilities(np.asarray(outputs["logits"]), self._mix)


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
    sealed = SealedAnswers(classifier)
    wanted = ("photo__original_sha256", "image_type", "picture_alone", "probabilities", "prediction__outputs")
    for sha256, image_type, alone, probabilities, outputs in rows.values_list(*wanted)[:looked_through]:
        kind = image_type or DERMOSCOPIC
        answers = found.setdefault(kind, {})
        if sha256 in answers or len(answers) == most:
            continue
        answer = sealed.of(outputs, kind)
        answers[sha256] = np.asarray(alone or probabilities) if answer is None else answer
    return {kind: np.stack(list(answers.values())) for kind, answers in found.items()}


def sealed_references(classifier: Classifier) -> dict[str, dict[str, Any]]:
    """The sealed reference of each kind of picture that the classifier knows; see `degenerate_output`."""
    blocks = image_type_blocks(classifier.manifest)
    return {kind: block.get("assessment", {}).get("live") or {} for kind, block in blocks.items()}
