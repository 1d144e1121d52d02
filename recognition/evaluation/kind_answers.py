"""What a classifier answered to the pictures of one kind, and its figures: the same for sealing and for evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.evaluation.intervals import ROUNDS
from recognition.evaluation.measure import split_metrics
from recognition.evaluation.metrics import Labels, Table
from recognition.evaluation.subgroups import subgroups, values_of, with_and_without
from recognition.inference.assessor import Answer, Assessor
from recognition.inference.bundle import OperatingPoint
from recognition.inference.calibration import softmax
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.metadata import Metadata
from recognition.inference.outputs import PictureOutputs


@dataclass(frozen=True, slots=True, eq=False)
class KindAnswers:
    """What a classifier answered to N pictures of one kind.

    - `images` (N); `labels` (N,) positions in `CODES`; `lesions` (N) the lesion of each;
    - `probabilities` (N, 8) as they are served, at the sealed case mix, with what the data set knows beside a picture;
      `balanced` (N, 8) the same at the balanced case mix; `picture_alone`, `balanced_alone` (N, 8) both without what is
      known beside the picture; `uncalibrated` (N, 8) the softmax of the logits;
    - `weights` (N,) lead to the sealed case mix;
    - `decisions`, `picture_decisions` (N): the advice, and that of the picture alone;
    - `used` (N): the fields beside the picture that counted.
    """

    images: Sequence[str]
    labels: Labels
    lesions: Sequence[str] | NDArray[Any]
    probabilities: Table
    balanced: Table
    picture_alone: Table
    balanced_alone: Table
    uncalibrated: Table
    weights: NDArray[np.float64]
    decisions: Sequence[str]
    picture_decisions: Sequence[str]
    used: Sequence[tuple[str, ...]]

    @classmethod
    def of(
        cls,
        answers: Sequence[Answer],
        balanced: Sequence[Answer],
        *,
        images: Sequence[str],
        labels: Labels,
        lesions: Sequence[str] | NDArray[Any],
        logits: Table,
        case_mix: CaseMix,
    ) -> Self:
        """From what `assess_all` gives for the pictures, which are at least one; `case_mix` is the sealed one."""
        return cls(
            images=images,
            labels=labels,
            lesions=lesions,
            probabilities=np.stack([each.probabilities for each in answers]),
            balanced=np.stack([each.probabilities for each in balanced]),
            picture_alone=np.stack([each.picture_alone for each in answers]),
            balanced_alone=np.stack([each.picture_alone for each in balanced]),
            uncalibrated=softmax(logits),
            weights=case_mix.weights(labels),
            decisions=[each.assessment.decision.value for each in answers],
            picture_decisions=[each.picture_decision.value for each in answers],
            used=[each.used for each in answers],
        )


def assess_all(
    assessor: Assessor, outputs: Sequence[PictureOutputs], metadata: Sequence[Metadata], *, image_type: str
) -> tuple[list[Answer], list[Answer]]:
    """The answers to pictures of a told kind, at the sealed case mix and at the balanced one."""
    told = list(zip(outputs, metadata, strict=True))
    answers = [assessor.assess(each, image_type=image_type, metadata=about) for each, about in told]
    balanced = [assessor.assess(each, image_type=image_type, metadata=about, case_mix=BALANCED) for each, about in told]
    return answers, balanced


def kind_figures(
    answers: KindAnswers,
    table: pd.DataFrame,
    *,
    operating_points: Sequence[OperatingPoint],
    decimals: int | None = None,
    subgroup_rounds: int = ROUNDS,
) -> dict[str, Any]:
    """The metrics of the split, with what metadata add and of its subgroups; `table` has the rows of the pictures.

    `decimals` rounds the values, `subgroup_rounds` are the rounds of the bootstrap of each subgroup.
    """
    labels, probabilities = answers.labels, answers.probabilities
    return {
        **split_metrics(
            labels,
            probabilities,
            groups=answers.lesions,
            balanced=answers.balanced,
            uncalibrated=answers.uncalibrated,
            weights=answers.weights,
            operating_points=operating_points,
            decisions=answers.decisions,
            decimals=decimals,
        ),
        "metadata": with_and_without(
            answers.used,
            labels,
            served=(probabilities, answers.decisions),
            picture_alone=(answers.picture_alone, answers.picture_decisions),
            groups=answers.lesions,
            weights=answers.weights,
            decimals=decimals,
        ),
        "subgroups": subgroups(
            values_of(table),
            labels,
            probabilities,
            groups=answers.lesions,
            decisions=answers.decisions,
            weights=answers.weights,
            rounds=subgroup_rounds,
            decimals=decimals,
        ),
    }
