"""The metrics of an evaluation as JSON, from labels, calibrated probabilities and metadata.

`recognition.evaluation.measure` computes the metrics of the whole split. Here are the curves, the subgroups and the
hardest mistakes. A metric from too few pictures is null; the page then says "too few to say".
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.evaluation import metrics
from recognition.evaluation.measure import number, split_metrics, with_intervals
from recognition.evaluation.metrics import Labels, Metric, Table, roc_curve
from recognition.inference.bundle import OperatingPoint
from recognition.inference.calibration import softmax
from recognition.taxonomy import CODES, SEXES, SITES

DECIMALS: Final = 6

TOO_FEW: Final = 10
"""The least positives for a sensitivity, and the least negatives for a specificity. With 10, the 95 % interval of 0.5
is 0.24 to 0.76."""

AGE_BANDS: Final = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
RELIABILITY_BINS: Final = 10
CURVE_POINTS: Final = 200
"""Stored points of a ROC curve; more than a chart can show."""
HARDEST: Final = 24
SUBGROUP_ROUNDS: Final = 400

FEWEST_DIAGNOSES: Final = 2
"""Diagnoses with enough pictures that a subgroup needs for a mean of sensitivities."""


def measure(
    labels: Labels, probabilities: Table, *, temperature: float, operating_points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    """The figures of one split. `labels` (N,), `probabilities` (N, 8) calibrated by `temperature`."""
    uncalibrated = softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) * temperature)
    found = split_metrics(
        labels,
        probabilities,
        groups=None,
        uncalibrated=uncalibrated,
        operating_points=operating_points,
        decimals=DECIMALS,
    )
    return found | {
        "majority_diagnosis": max(CODES, key=lambda code: found["per_diagnosis"][code]["pictures"]),
        "temperature": temperature,
        "roc": {
            **{code: _curve(labels == position, probabilities[:, position]) for position, code in enumerate(CODES)},
            "malignant": _curve(metrics.is_malignant(labels), metrics.malignant_score(probabilities)),
        },
        "reliability": {"before": reliability(labels, uncalibrated), "after": reliability(labels, probabilities)},
    }


def subgroups(
    table: pd.DataFrame, labels: Labels, probabilities: Table, *, operating_points: Sequence[OperatingPoint]
) -> list[dict[str, Any]]:
    """Malignant against benign, and balanced accuracy, by sex, age band and site; rows of `table` as those of `labels`.

    "sensitivity" (or "specificity") of a point is null if there are fewer than `TOO_FEW` cancers (or benign lesions).
    "balanced_accuracy" is the mean over the diagnoses with at least `TOO_FEW` pictures in the group, which "diagnoses"
    lists; it is null if they are fewer than two. Groups have different diagnoses, so "everybody" gives the mean over
    the same diagnoses for all pictures of the split. Compare a group only with that.
    """
    groups: list[tuple[str, str, NDArray[np.bool_]]] = []
    for column, kind, words in (("sex", "sex", SEXES), ("anatom_site_general", "site", SITES)):
        groups += [(kind, word, (table[column] == word).to_numpy()) for word in words]
        groups.append((kind, "not given", table[column].isna().to_numpy()))
    age = table["age_approx"].to_numpy(dtype=float)
    groups += [("age", f"{low} to {high}", (age >= low) & (age <= high)) for low, high in AGE_BANDS]
    groups.append(("age", "not given", np.isnan(age)))
    everybody = metrics.sensitivities(labels, probabilities)
    entries = []
    for kind, name, chosen in sorted(groups, key=lambda group: ("sex", "age", "site").index(group[0])):
        here, answers = labels[chosen], probabilities[chosen]
        positive = metrics.is_malignant(here)
        entry: dict[str, Any] = {
            "kind": kind, "name": name, "pictures": int(chosen.sum()), "malignant": int(positive.sum()),
        }  # fmt: skip
        enough = {"sensitivity": positive.sum() >= TOO_FEW, "specificity": (~positive).sum() >= TOO_FEW}
        wanted: dict[str, Metric] = {}
        for point in operating_points:
            both = metrics.at_threshold(here, answers, point.threshold)
            wanted |= {f"{rate} at {point.name}": both[rate] for rate in enough if enough[rate]}
        known = np.flatnonzero(np.bincount(here, minlength=len(CODES)) >= TOO_FEW)
        if known.size >= FEWEST_DIAGNOSES:
            wanted["balanced_accuracy"] = metrics.mean_sensitivity(here, answers, known.tolist())
        found = with_intervals(wanted, here, groups=None, rounds=SUBGROUP_ROUNDS, decimals=DECIMALS) if wanted else {}
        entry["operating_points"] = {
            point.name: {rate: found.get(f"{rate} at {point.name}") for rate in enough} for point in operating_points
        }
        entry["balanced_accuracy"] = found.get("balanced_accuracy")
        if entry["balanced_accuracy"] is not None:
            entry["diagnoses"] = [CODES[position] for position in known]
            entry["everybody"] = number(np.mean(everybody[known]), DECIMALS)
        entries.append(entry)
    return entries


def reliability(labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """Confidence and accuracy in bins of equal width; empty bins are left out."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    return [
        {
            "from": bin_ / RELIABILITY_BINS,
            "pictures": int((which == bin_).sum()),
            "confidence": number(confidence[which == bin_].mean(), DECIMALS),
            "accuracy": number(right[which == bin_].mean(), DECIMALS),
        }
        for bin_ in range(RELIABILITY_BINS)
        if (which == bin_).any()
    ]


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
