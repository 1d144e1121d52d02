"""Reads the stored figures of an evaluation, and writes them as CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from accounts.csv_rows import safe_cell
from recognition.taxonomy import CODES, UNKNOWN_CODE
from training.models import Evaluation


def predictions_csv(evaluation: Evaluation) -> str:
    """One row for each image: eight calibrated probabilities, and UNK (always 0: classifiers have no such class)."""
    rows = sorted(evaluation.predictions.items())
    return _csv([[image, *(f"{float(p):.9f}" for p in table), "0.0"] for image, table in rows])


def ground_truth_csv(evaluation: Evaluation) -> str:
    """One row for each measured image: the one-hot truth, UNK 0."""
    truth = (
        evaluation.dataset.measurable()
        .filter(split=evaluation.split)
        .order_by("image")
        .values_list("image", "diagnosis")
    )
    return _csv(
        [[image, *("1.0" if code == diagnosis else "0.0" for code in CODES), "0.0"] for image, diagnosis in truth]
    )


def figures_json(evaluation: Evaluation) -> str:
    """All figures, with the classifier and the data set they belong to."""
    described = {
        "classifier": evaluation.classifier.version,
        "classifier_sha256": evaluation.classifier.sha256,
        "dataset": evaluation.dataset.name,
        "split": evaluation.split,
        "fingerprint": evaluation.fingerprint,
        "created": evaluation.created.isoformat(),
        "metrics": {name: value for name, value in evaluation.metrics.items() if name != "charts"},
    }
    return json.dumps(described, indent=2, sort_keys=True)


def _csv(rows: list[list[str]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", *CODES, UNKNOWN_CODE])
    writer.writerows([safe_cell(image), *figures] for image, *figures in rows)
    return file.getvalue()


def calibration_errors(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The calibration error of the malignant score, "before" and "after"; in old evaluations that of the confidence."""
    found: Mapping[str, Any] = metrics.get("malignant_calibration_error") or metrics["expected_calibration_error"]
    return found


def figure_of(stored: Any) -> dict[str, float | None]:
    """{"value", "low", "high"} of a stored figure; old evaluations stored only a number, without an interval."""
    if isinstance(stored, dict):
        return {name: stored.get(name) for name in ("value", "low", "high")}
    return {"value": stored, "low": None, "high": None}
