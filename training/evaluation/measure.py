"""The figures of an evaluation as JSON: those of each kind of picture apart.

`recognition.evaluation` computes the figures. Here they are put together for one kind of picture, with the curves, the
calibration, the subgroups, what metadata adds, and the hardest mistakes.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.evaluation import metrics
from recognition.evaluation.kind_answers import KindAnswers, kind_figures
from recognition.evaluation.measure import number
from recognition.evaluation.metrics import CALIBRATION_BINS, Labels, Table, roc_curve
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import CODES

DECIMALS: Final = 6
CURVE_POINTS: Final = 200
"""Stored points of a ROC curve; more than a chart can show."""
HARDEST: Final = 24
SUBGROUP_ROUNDS: Final = 400


def measure(answers: KindAnswers, table: pd.DataFrame, *, operating_points: Sequence[OperatingPoint]) -> dict[str, Any]:
    """The figures of one kind of picture; `table` has the metadata of its pictures in their order."""
    labels, probabilities = answers.labels, answers.probabilities
    found = kind_figures(
        answers, table, operating_points=operating_points, decimals=DECIMALS, subgroup_rounds=SUBGROUP_ROUNDS
    )
    malignant, scores = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    return found | {
        "majority_diagnosis": max(CODES, key=lambda code: found["per_diagnosis"][code]["pictures"]),
        "roc": {
            **{code: _curve(labels == position, probabilities[:, position]) for position, code in enumerate(CODES)},
            "malignant": _curve(malignant, scores),
        },
        "reliability": reliability(malignant, scores, answers.weights),
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
