"""Reads the stored figures of an evaluation, and writes them as CSV and JSON: those of each kind of picture apart."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from accounts.csv_rows import safe_cell
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, UNKNOWN_CODE
from training.models import Evaluation

SLUGS: Final = {DERMOSCOPIC: "dermoscopic", CLOSE_UP: "close-up"}
"""The kinds of picture in names of charts and files."""


def blocks_of(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures by kind of picture, of those that the classifier answers.

    Empty for an evaluation from before kinds were told apart: its classifier is to be measured again.
    """
    blocks: dict[str, dict[str, Any]] = metrics.get("image_types", {})
    return {image_type: block for image_type, block in blocks.items() if not block.get("refused")}


def refused_pictures(metrics: Mapping[str, Any]) -> dict[str, int]:
    """How many pictures there were of each kind that the classifier refuses because it does not know it."""
    blocks = metrics.get("image_types", {})
    return {image_type: block["pictures"] for image_type, block in blocks.items() if block.get("refused")}


def predictions_csv(evaluation: Evaluation, image_type: str) -> str:
    """One row for each image of a kind: eight probabilities at the sealed case mix, and UNK (always 0)."""
    return _tables_csv(evaluation, image_type, "probabilities")


def balanced_csv(evaluation: Evaluation, image_type: str) -> str:
    """The same at the balanced case mix, for the official metric."""
    return _tables_csv(evaluation, image_type, "balanced")


def ground_truth_csv(evaluation: Evaluation, image_type: str) -> str:
    """One row for each measured image of a kind: the one-hot truth, UNK 0."""
    images = _of_kind(evaluation, image_type)
    truth = evaluation.dataset.measurable().filter(split=evaluation.split).order_by("image")
    return _csv(
        [
            [image, *("1.0" if code == diagnosis else "0.0" for code in CODES), "0.0"]
            for image, diagnosis in truth.values_list("image", "diagnosis")
            if image in images
        ]
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


def _of_kind(evaluation: Evaluation, image_type: str) -> dict[str, Any]:
    """What was answered to the images of a kind, by image name."""
    return {image: said for image, said in sorted(evaluation.predictions.items()) if said["image_type"] == image_type}


def _tables_csv(evaluation: Evaluation, image_type: str, table: str) -> str:
    rows = _of_kind(evaluation, image_type).items()
    return _csv([[image, *(f"{float(p):.9f}" for p in said[table]), "0.0"] for image, said in rows])


def _csv(rows: list[list[str]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", *CODES, UNKNOWN_CODE])
    writer.writerows([safe_cell(image), *figures] for image, *figures in rows)
    return file.getvalue()
