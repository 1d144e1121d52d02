"""Own the figures that are sealed with a classifier: of eight probabilities against the truth, as JSON values.

Each {"value", "low", "high"} carries a 95 % interval; a figure without a meaning on these rows is null.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnoses.inference.bundle import OperatingPoint
from diagnoses.inference.runtime import softmax
from diagnoses.taxonomy import CODES
from training.pipeline import metrics
from training.pipeline.splits import TEST


def measure(
    labels: NDArray[np.integer],
    logits: NDArray[np.floating],
    *,
    temperature: float,
    operating_points: Sequence[OperatingPoint],
) -> dict[str, Any]:
    """The figures of one split as JSON values; each {"value", "low", "high"} carries its bootstrap 95 % interval.

    A figure without a meaning on these rows is null.
    """
    plain, calibrated = softmax(logits), softmax(logits / temperature)
    areas = metrics.class_aucs(labels, calibrated)
    counts = metrics.confusion(labels, calibrated)
    majority = np.bincount(labels, minlength=len(CODES)).max() / labels.size

    def with_interval(figure: Callable[[Any, Any], float]) -> dict[str, float | None]:
        low, high = metrics.interval(figure, labels, calibrated)
        return {"value": number(figure(labels, calibrated)), "low": number(low), "high": number(high)}

    def found(position: int) -> Callable[[Any, Any], float]:
        return lambda truth, table: float(metrics.sensitivities(truth, table)[position])

    def rate(threshold: float, which: int) -> Callable[[Any, Any], float]:
        return lambda truth, table: metrics.sensitivity_specificity(
            metrics.is_malignant(truth), metrics.malignant_score(table), threshold
        )[which]

    per_diagnosis = {}
    for position, code in enumerate(CODES):
        right, called = counts[position, position], counts[:, position].sum()
        others = labels.size - counts[position].sum()
        per_diagnosis[code] = {
            "pictures": int(counts[position].sum()),
            "sensitivity": with_interval(found(position)),
            "specificity": number(1.0 - (called - right) / others if others else math.nan),
            "precision": number(right / called if called else math.nan),
            "auc": number(areas[position]),
        }
    points = {
        point.name: {
            "threshold": point.threshold,
            "sensitivity": with_interval(rate(point.threshold, 0)),
            "specificity": with_interval(rate(point.threshold, 1)),
        }
        for point in operating_points
    }
    return {
        "split": TEST,
        "pictures": int(labels.size),
        "balanced_accuracy": with_interval(metrics.balanced_accuracy),
        "accuracy": with_interval(metrics.accuracy),
        "majority_baseline": number(majority),
        "malignant_auc": with_interval(metrics.malignant_auc),
        "mean_class_auc": number(float(np.nanmean(areas))),
        "log_loss": {
            "before": number(metrics.log_loss(labels, plain)),
            "after": number(metrics.log_loss(labels, calibrated)),
        },
        "expected_calibration_error": {
            "before": number(metrics.expected_calibration_error(labels, plain)),
            "after": number(metrics.expected_calibration_error(labels, calibrated)),
        },
        "per_diagnosis": per_diagnosis,
        "operating_points": points,
        "confusion": counts.tolist(),
    }


def picture_alone(
    labels: NDArray[np.integer], logits: NDArray[np.floating], *, temperature: float
) -> dict[str, float | None]:
    """What a classifier with a metadata head reaches on these rows when age, sex and site are withheld from it."""
    calibrated = softmax(logits / temperature)
    return {
        "balanced_accuracy": number(metrics.balanced_accuracy(labels, calibrated)),
        "malignant_auc": number(metrics.malignant_auc(labels, calibrated)),
        "expected_calibration_error": number(metrics.expected_calibration_error(labels, calibrated)),
    }


def share(hits: int, of: int) -> dict[str, float | None]:
    """A share with its Wilson interval, as a figure; null of nothing."""
    return dict(zip(("value", "low", "high"), map(number, metrics.wilson(hits, of)), strict=True))


def number(value: float | np.floating[Any]) -> float | None:
    """A JSON number, or null for what is not one."""
    plain = float(value)
    return plain if math.isfinite(plain) else None
