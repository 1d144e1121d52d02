"""All metrics of a split as JSON values, for the manifest of a bundle and for evaluations.

A metric with a 95 % interval is {"value", "low", "high"}; a metric that is not defined for these rows is null.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.splits import TEST
from recognition.evaluation import agreement, bootstrap, metrics
from recognition.evaluation.metrics import SENSITIVITY_FLOOR, Labels, Metric, Table
from recognition.inference.bundle import OperatingPoint
from recognition.inference.runtime import softmax
from recognition.taxonomy import CODES

PER_DIAGNOSIS: Final = ("sensitivity", "specificity", "precision", "auc", "auc_above_80_sensitivity")
CALIBRATION_METRICS: Final = ("log_loss", "expected_calibration_error")


def sealed_metrics(
    labels: Labels, logits: Table, *, temperature: float, operating_points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    """The metrics of the test split as the manifest holds them.

    `labels` (N,) are positions in `CODES`, `logits` (N, 8) are not yet divided by the `temperature`. Calibration
    metrics, and those of a diagnosis except its sensitivity, are values without intervals.
    """
    sealed = split_metrics(
        labels,
        softmax(logits / temperature),
        uncalibrated=softmax(logits),
        operating_points=operating_points,
        one_by_one=True,
    )
    for name in CALIBRATION_METRICS:
        sealed[name] = {when: each["value"] for when, each in sealed[name].items()}
    del sealed["malignant_auc_above_80_sensitivity"]
    for row in sealed["per_diagnosis"].values():
        del row["auc_above_80_sensitivity"]
        row |= {name: row[name]["value"] for name in ("specificity", "precision", "auc")}
    return {"split": TEST, **sealed}


def split_metrics(
    labels: Labels,
    probabilities: Table,
    *,
    uncalibrated: Table,
    operating_points: Sequence[OperatingPoint],
    one_by_one: bool = False,
    decimals: int | None = None,
) -> dict[str, Any]:
    """Every metric of a split.

    `labels` (N,), `probabilities` (N, 8), and `uncalibrated` (N, 8) before temperature scaling. `one_by_one`: see
    `bootstrap.redrawn`. `decimals` rounds the values.
    """
    found = with_intervals(
        metrics_of(labels, probabilities, uncalibrated, operating_points),
        labels,
        one_by_one=one_by_one,
        decimals=decimals,
    )
    counts = metrics.confusion(labels, probabilities)
    pictures = counts.sum(axis=1)
    per_diagnosis: dict[str, dict[str, Any]] = {
        code: {"pictures": int(pictures[position]), **{name: found[f"{name}:{code}"] for name in PER_DIAGNOSIS}}
        for position, code in enumerate(CODES)
    }
    areas = [row["auc"]["value"] for row in per_diagnosis.values() if row["auc"]["value"] is not None]
    return {
        "pictures": int(labels.size),
        "balanced_accuracy": found["balanced_accuracy"],
        "accuracy": found["accuracy"],
        "majority_baseline": number(pictures.max() / labels.size, decimals),
        "malignant_auc": found["malignant_auc"],
        "malignant_auc_above_80_sensitivity": found["malignant_auc_above_80_sensitivity"],
        "mean_class_auc": number(np.mean(areas) if areas else math.nan, decimals),
        **{name: {when: found[f"{name} {when}"] for when in ("before", "after")} for name in CALIBRATION_METRICS},
        "per_diagnosis": per_diagnosis,
        "operating_points": {
            point.name: {
                "threshold": point.threshold,
                **{rate: found[f"{rate} at {point.name}"] for rate in ("sensitivity", "specificity")},
            }
            for point in operating_points
        },
        "confusion": counts.tolist(),
    }


def metrics_of(
    labels: Labels, probabilities: Table, uncalibrated: Table, points: Sequence[OperatingPoint]
) -> dict[str, Metric]:
    """Every metric of a split that has an interval, by name."""
    called = probabilities.argmax(axis=1)
    found = {
        "balanced_accuracy": metrics.mean_sensitivity(labels, probabilities),
        "accuracy": metrics.proportion(called == labels, np.ones(labels.size, dtype=bool)),
        **_areas("malignant_auc{}", metrics.is_malignant(labels), metrics.malignant_score(probabilities)),
    }
    for position, code in enumerate(CODES):
        true, answered = labels == position, called == position
        found |= {
            f"sensitivity:{code}": metrics.proportion(answered, true),
            f"specificity:{code}": metrics.proportion(~answered, ~true),
            f"precision:{code}": metrics.proportion(true, answered),
            **_areas("auc{}:" + code, true, probabilities[:, position]),
        }
    for when, table in (("before", uncalibrated), ("after", probabilities)):
        found[f"log_loss {when}"] = metrics.mean(metrics.surprise(labels, table))
        found[f"expected_calibration_error {when}"] = metrics.expected_calibration_error(labels, table)
    for point in points:
        rates = metrics.at_threshold(labels, probabilities, point.threshold)
        found |= {f"{rate} at {point.name}": metric for rate, metric in rates.items()}
    return found


def picture_alone(labels: Labels, logits: Table, *, temperature: float) -> dict[str, float | None]:
    """The metrics of a classifier with a metadata head when it gets no age, sex and site.

    `labels` (N,), `logits` (N, 8) of the network of the picture, before the `temperature`.
    """
    calibrated = softmax(logits / temperature)
    error = metrics.expected_calibration_error(labels, calibrated)
    return {
        "balanced_accuracy": number(metrics.balanced_accuracy(labels, calibrated)),
        "malignant_auc": number(metrics.malignant_auc(labels, calibrated)),
        "expected_calibration_error": number(bootstrap.on_all(error, labels)),
    }


def with_intervals(
    wanted: Mapping[str, Metric],
    labels: Labels,
    *,
    rounds: int = bootstrap.ROUNDS,
    one_by_one: bool = False,
    decimals: int | None = None,
) -> dict[str, dict[str, float | None]]:
    """Every metric as {"value", "low", "high"}, all from one bootstrap."""
    found = bootstrap.estimates(wanted, labels, rounds=rounds, one_by_one=one_by_one)
    return {
        name: {part: number(getattr(each, part), decimals) for part in ("value", "low", "high")}
        for name, each in found.items()
    }


def share(hits: int, of: int) -> dict[str, float | None]:
    """A share with its Wilson interval, as {"value", "low", "high"}; all None if `of` is 0."""
    found = agreement.wilson(hits, of)
    return {part: None if found is None else getattr(found, part) for part in ("value", "low", "high")}


def number(value: float | np.floating[Any], decimals: int | None = None) -> float | None:
    """A JSON number, rounded if `decimals` are given; None for NaN and infinity."""
    plain = float(value)
    if not math.isfinite(plain):
        return None
    return plain if decimals is None else round(plain, decimals)


def _areas(name: str, positive: NDArray[np.bool_], scores: Table) -> dict[str, Metric]:
    """AUC, and AUC above 80 % sensitivity."""
    return {
        name.format(""): metrics.auc(positive, scores),
        name.format("_above_80_sensitivity"): metrics.auc(positive, scores, floor=SENSITIVITY_FLOOR),
    }
