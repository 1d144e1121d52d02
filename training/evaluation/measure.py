"""The figures of an evaluation as JSON: those of each kind of picture apart.

`recognition.evaluation` computes the figures. Here they are put together for one kind of picture, with the curves, the
calibration, the subgroups, what metadata adds, and the hardest mistakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.evaluation import metrics
from recognition.evaluation.measure import number, split_metrics
from recognition.evaluation.metrics import CALIBRATION_BINS, Labels, Table, roc_curve
from recognition.evaluation.subgroups import subgroups, values_of, with_and_without
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import CODES

DECIMALS: Final = 6
CURVE_POINTS: Final = 200
"""Stored points of a ROC curve; more than a chart can show."""
HARDEST: Final = 24
SUBGROUP_ROUNDS: Final = 400


@dataclass(frozen=True, slots=True, eq=False)
class KindAnswers:
    """What a classifier answered to N pictures of one kind.

    - `images` (N); `labels` (N,) positions in `CODES`; `lesions` (N) the lesion of each;
    - `probabilities` (N, 8) as they are served, at the sealed case mix, with what the data set knows beside a picture;
      `balanced` (N, 8) the same at the balanced case mix; `picture_alone` (N, 8) as served without the rest;
      `uncalibrated` (N, 8) the softmax of the logits;
    - `weights` (N,) lead to the sealed case mix;
    - `decisions`, `picture_decisions` (N): the advice, and that of the picture alone;
    - `used` (N): the fields beside the picture that counted.
    """

    images: Sequence[str]
    labels: Labels
    lesions: Sequence[str]
    probabilities: Table
    balanced: Table
    picture_alone: Table
    uncalibrated: Table
    weights: NDArray[np.float64]
    decisions: Sequence[str]
    picture_decisions: Sequence[str]
    used: Sequence[tuple[str, ...]]


def measure(answers: KindAnswers, table: pd.DataFrame, *, operating_points: Sequence[OperatingPoint]) -> dict[str, Any]:
    """The figures of one kind of picture; `table` has the metadata of its pictures in their order."""
    labels, probabilities = answers.labels, answers.probabilities
    found = split_metrics(
        labels,
        probabilities,
        groups=answers.lesions,
        balanced=answers.balanced,
        uncalibrated=answers.uncalibrated,
        weights=answers.weights,
        operating_points=operating_points,
        decisions=answers.decisions,
        decimals=DECIMALS,
    )
    return found | {
        "majority_diagnosis": max(CODES, key=lambda code: found["per_diagnosis"][code]["pictures"]),
        "roc": {
            **{code: _curve(labels == position, probabilities[:, position]) for position, code in enumerate(CODES)},
            "malignant": _curve(metrics.is_malignant(labels), metrics.malignant_score(probabilities)),
        },
        "reliability": reliability(
            metrics.is_malignant(labels), metrics.malignant_score(probabilities), answers.weights
        ),
        "metadata": with_and_without(
            answers.used,
            labels,
            served=(probabilities, answers.decisions),
            picture_alone=(answers.picture_alone, answers.picture_decisions),
            groups=answers.lesions,
            weights=answers.weights,
            decimals=DECIMALS,
        ),
        "subgroups": subgroups(
            values_of(table),
            labels,
            probabilities,
            groups=answers.lesions,
            decisions=answers.decisions,
            weights=answers.weights,
            rounds=SUBGROUP_ROUNDS,
            decimals=DECIMALS,
        ),
        "hardest": hardest_mistakes(answers.images, labels, probabilities),
    }


def reliability(
    malignant: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """What the malignant score said and how many were cancers, in ten bins of equal width; empty bins are left out.

    Both are weighted by `weights` (N,), to the case mix. "pictures" counts each picture once.
    """
    which = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for number_of_bin in range(CALIBRATION_BINS):
        inside = which == number_of_bin
        weight = weights[inside].sum()
        if weight > 0:
            bins.append(
                {
                    "from": number_of_bin / CALIBRATION_BINS,
                    "pictures": int(inside.sum()),
                    "weight": number(weight / weights.sum(), DECIMALS),
                    "said": number((weights * scores)[inside].sum() / weight, DECIMALS),
                    "malignant": number(weights[inside & malignant].sum() / weight, DECIMALS),
                }
            )
    return bins


def hardest_mistakes(images: Sequence[str], labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """The wrong answers with the least probability for the truth, least first."""
    called, given = probabilities.argmax(axis=1), probabilities[np.arange(labels.size), labels]
    wrong = np.flatnonzero(called != labels)
    return [
        {
            "image": images[row],
            "truth": CODES[labels[row]],
            "called": CODES[called[row]],
            "confidence": number(probabilities[row, called[row]], DECIMALS),
            "truth_probability": number(given[row], DECIMALS),
        }
        for row in wrong[np.argsort(given[wrong], kind="stable")][:HARDEST]
    ]


def _curve(positive: NDArray[np.bool_], scores: Table) -> dict[str, list[float]] | None:
    rates = roc_curve(positive, scores)
    if rates is None:
        return None
    kept = np.unique(np.linspace(0, rates[0].size - 1, min(rates[0].size, CURVE_POINTS)).round().astype(int))
    false_rates, true_rates = (np.round(each[kept], 5).tolist() for each in rates)
    return {"false_positive_rate": false_rates, "true_positive_rate": true_rates}
