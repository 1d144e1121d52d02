"""Own the figures of an evaluation: from labels, calibrated probabilities and metadata to one JSON value.

Every {"value", "low", "high"} carries a 95 % percentile interval of one bootstrap in which the pictures of each
diagnosis are redrawn among themselves (`training.pipeline.metrics.interval`). A figure that has no meaning on these
rows is null, and one from too few pictures is not given at all: "too few to say".
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnoses.inference.bundle import OperatingPoint
from diagnoses.inference.runtime import softmax
from diagnoses.taxonomy import CODES, SEXES, SITES
from training.pipeline import metrics
from training.pipeline.metrics import BOOTSTRAP_ROUNDS, BOOTSTRAP_SEED, Labels, Table

SENSITIVITY_FLOOR: Final = 0.8
"""Of the partial area under the ROC curve that the ISIC challenges report: "AUC above 80 % sensitivity"."""

TOO_FEW: Final = 10
"""Fewer positives (for a sensitivity) or negatives (for a specificity) than this say too little: with 10, the 95 %
interval of a half is already 0.24 to 0.76."""

AGE_BANDS: Final = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
RELIABILITY_BINS: Final = 10
CURVE_POINTS: Final = 200
"""Points kept of a ROC curve: finer than a chart shows."""
HARDEST: Final = 24
SUBGROUP_ROUNDS: Final = 400


def auc_above_sensitivity(positive: NDArray[np.bool_], scores: Table, floor: float = SENSITIVITY_FLOOR) -> float:
    """Area under the part of the ROC curve where the sensitivity is at least `floor`; NaN without both kinds.

    As isic-challenge-scoring defines it: the area below that part down to sensitivity 0, from its false-positive
    rate to 1, not rescaled; so at most 1, and the plain AUC where the floor is reached without a false positive.
    """
    rates = roc_curve(positive, scores)
    if rates is None:
        return float("nan")
    false_rates, true_rates = rates
    start = int(np.searchsorted(true_rates, floor, side="left"))
    before, after = max(start - 1, 0), start
    rise = true_rates[after] - true_rates[before]
    share = (floor - true_rates[before]) / rise if rise > 0 else 1.0
    first = false_rates[before] + share * (false_rates[after] - false_rates[before])
    x, y = np.r_[first, false_rates[start:]], np.r_[floor, true_rates[start:]]
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2.0))


def roc_curve(positive: NDArray[np.bool_], scores: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """False- and true-positive rates, from (0, 0) to (1, 1), one point per distinct score; None without both kinds."""
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last_of_score = np.r_[np.flatnonzero(np.diff(ranked)), truth.size - 1]
    true_counts = np.cumsum(truth)[last_of_score]
    return (
        np.r_[0.0, (last_of_score + 1 - true_counts) / negatives],
        np.r_[0.0, true_counts / positives],
    )


def measure(
    labels: Labels, probabilities: Table, *, temperature: float, operating_points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    """The figures of one split. `labels` (N,), `probabilities` (N, 8) calibrated by `temperature`."""
    plain = softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) * temperature)
    counts = metrics.confusion(labels, probabilities)
    with_interval = _intervals(labels, probabilities, operating_points, rounds=BOOTSTRAP_ROUNDS)
    per_diagnosis: dict[str, dict[str, Any]] = {}
    for position, code in enumerate(CODES):
        per_diagnosis[code] = {
            "pictures": int(counts[position].sum()),
            **{name: with_interval[f"{name}:{code}"] for name in ("sensitivity", "specificity", "precision", "auc")},
            "auc_above_80_sensitivity": number(auc_above_sensitivity(labels == position, probabilities[:, position])),
        }
    areas = [value["auc"]["value"] for value in per_diagnosis.values() if value["auc"]["value"] is not None]
    malignant, scores = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    return {
        "pictures": int(labels.size),
        "balanced_accuracy": with_interval["balanced_accuracy"],
        "accuracy": with_interval["accuracy"],
        "majority_baseline": number(float(counts.sum(axis=1).max() / labels.size)),
        "majority_diagnosis": CODES[int(counts.sum(axis=1).argmax())],
        "malignant_auc": with_interval["malignant_auc"],
        "malignant_auc_above_80_sensitivity": number(auc_above_sensitivity(malignant, scores)),
        "mean_class_auc": number(float(np.mean(areas)) if areas else math.nan),
        "log_loss": {
            "before": number(metrics.log_loss(labels, plain)),
            "after": number(metrics.log_loss(labels, probabilities)),
        },
        "expected_calibration_error": {
            "before": number(metrics.expected_calibration_error(labels, plain)),
            "after": number(metrics.expected_calibration_error(labels, probabilities)),
        },
        "temperature": temperature,
        "per_diagnosis": per_diagnosis,
        "operating_points": {
            point.name: {
                "threshold": point.threshold,
                "sensitivity": with_interval[f"sensitivity at {point.name}"],
                "specificity": with_interval[f"specificity at {point.name}"],
            }
            for point in operating_points
        },
        "confusion": counts.tolist(),
        "roc": {
            **{
                code: _curve(labels == position, probabilities[:, position]) for position, code in enumerate(CODES)
            },
            "malignant": _curve(malignant, scores),
        },
        "reliability": {"before": reliability(labels, plain), "after": reliability(labels, probabilities)},
    }  # fmt: skip


def subgroups(
    table: pd.DataFrame, labels: Labels, probabilities: Table, *, operating_points: Sequence[OperatingPoint]
) -> list[dict[str, Any]]:
    """Malignant against benign by sex, age band and site, one entry each, rows of `table` as those of `labels`.

    "sensitivity" and "specificity" of a point are null where fewer than `TOO_FEW` cancers (benign lesions) are there.
    """
    groups: list[tuple[str, str, NDArray[np.bool_]]] = []
    for column, kind, words in (("sex", "sex", SEXES), ("anatom_site_general", "site", SITES)):
        groups += [(kind, word, (table[column] == word).to_numpy()) for word in words]
        groups.append((kind, "not given", table[column].isna().to_numpy()))
    age = table["age_approx"].to_numpy(dtype=float)
    groups += [("age", f"{low} to {high}", (age >= low) & (age <= high)) for low, high in AGE_BANDS]
    groups.append(("age", "not given", np.isnan(age)))
    entries = []
    for kind, name, chosen in sorted(groups, key=lambda group: ("sex", "age", "site").index(group[0])):
        positive = metrics.is_malignant(labels[chosen])
        entry: dict[str, Any] = {
            "kind": kind, "name": name, "pictures": int(chosen.sum()), "malignant": int(positive.sum()),
        }  # fmt: skip
        enough = {"sensitivity": positive.sum() >= TOO_FEW, "specificity": (~positive).sum() >= TOO_FEW}
        found = (
            _intervals(labels[chosen], probabilities[chosen], operating_points, rounds=SUBGROUP_ROUNDS)
            if any(enough.values())
            else {}
        )
        entry["operating_points"] = {
            point.name: {rate: found[f"{rate} at {point.name}"] if enough[rate] else None for rate in enough}
            for point in operating_points
        }
        entries.append(entry)
    return entries


def reliability(labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """Confidence against accuracy in equally wide bins of confidence, empty bins left out."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    return [
        {
            "from": bin_ / RELIABILITY_BINS,
            "pictures": int((which == bin_).sum()),
            "confidence": number(float(confidence[which == bin_].mean())),
            "accuracy": number(float(right[which == bin_].mean())),
        }
        for bin_ in range(RELIABILITY_BINS)
        if (which == bin_).any()
    ]


def hardest_mistakes(images: Sequence[str], labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """The wrong answers with the least probability for the truth: the most surely wrong first."""
    called, given = probabilities.argmax(axis=1), probabilities[np.arange(labels.size), labels]
    wrong = np.flatnonzero(called != labels)
    return [
        {
            "image": images[row],
            "truth": CODES[labels[row]],
            "called": CODES[called[row]],
            "confidence": number(float(probabilities[row, called[row]])),
            "truth_probability": number(float(given[row])),
        }
        for row in wrong[np.argsort(given[wrong], kind="stable")][:HARDEST]
    ]


def number(value: float) -> float | None:
    """A JSON number with six decimals, or null for what is not one."""
    return round(value, 6) if math.isfinite(value) else None


def _figures(labels: Labels, probabilities: Table, points: Sequence[OperatingPoint]) -> dict[str, float]:
    counts = metrics.confusion(labels, probabilities)
    right, called, true = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = {
            "sensitivity": right / true,
            "specificity": 1.0 - (called - right) / (labels.size - true),
            "precision": right / called,
            "auc": metrics.class_aucs(labels, probabilities),
        }
    figures = {
        "balanced_accuracy": metrics.balanced_accuracy(labels, probabilities),
        "accuracy": metrics.accuracy(labels, probabilities),
        "malignant_auc": metrics.malignant_auc(labels, probabilities),
    }
    for name, values in rates.items():
        figures |= {f"{name}:{code}": float(value) for code, value in zip(CODES, values, strict=True)}
    positive, scores = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    for point in points:
        sensitivity, specificity = metrics.sensitivity_specificity(positive, scores, point.threshold)
        figures |= {f"sensitivity at {point.name}": sensitivity, f"specificity at {point.name}": specificity}
    return figures


def _intervals(
    labels: Labels, probabilities: Table, points: Sequence[OperatingPoint], *, rounds: int
) -> dict[str, dict[str, float | None]]:
    """Every figure with its interval, from one bootstrap."""
    values = _figures(labels, probabilities, points)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    groups = [np.flatnonzero(labels == position) for position in np.unique(labels)]
    drawn = np.empty((rounds, len(values)))
    for round_ in range(rounds):
        rows = np.concatenate([generator.choice(group, size=group.size) for group in groups])
        drawn[round_] = list(_figures(labels[rows], probabilities[rows], points).values())
    result = {}
    for column, (name, value) in enumerate(values.items()):
        finite = drawn[np.isfinite(drawn[:, column]), column]
        low, high = np.percentile(finite, [2.5, 97.5]) if finite.size else (math.nan, math.nan)
        result[name] = {"value": number(value), "low": number(float(low)), "high": number(float(high))}
    return result


def _curve(positive: NDArray[np.bool_], scores: Table) -> dict[str, list[float]] | None:
    rates = roc_curve(positive, scores)
    if rates is None:
        return None
    kept = np.unique(np.linspace(0, rates[0].size - 1, min(rates[0].size, CURVE_POINTS)).round().astype(int))
    false_rates, true_rates = (np.round(each[kept], 5).tolist() for each in rates)
    return {"false_positive_rate": false_rates, "true_positive_rate": true_rates}
