"""An evaluation, from a sealed bundle and a sealed data set to its figures. Only workers and commands import it.

Every figure is of one kind of picture. The kind is the one that the data set states, as if somebody had told it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import registered_bundle
from recognition.datasets.examples import metadata_of
from recognition.datasets.splits import TEST, lesion_groups
from recognition.evaluation.kind_answers import KindAnswers, assess_all
from recognition.inference.assessor import Answer, Assessor
from recognition.inference.bundle import Bundle, OperatingPoint
from recognition.inference.outputs import PictureOutputs
from recognition.inference.runtime import load_classifier
from recognition.progress import Progress, Report, silent
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES
from training.data.reading import SealedData, example_table, read_sealed
from training.evaluation.drawing import store_charts
from training.evaluation.measure import measure
from training.models import Dataset, Evaluation
from training.services.evaluations import record_evaluation
from training.services.test_contamination import contamination_of

STAGE: Final = "evaluate"
DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class Measured:
    """Input of `record_evaluation`: the figures, and what was answered to each picture (`Evaluation.predictions`)."""

    metrics: dict[str, Any]
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure_bundle(
    bundle: Bundle,
    dataset: Dataset,
    *,
    data: SealedData | None = None,
    outputs: Mapping[str, PictureOutputs] | None = None,
    report: Report = silent,
) -> Measured:
    """Run a verified bundle on the test split, in the same way as on patients' photos, and measure.

    `outputs` of each test picture, if they are known from sealing it (same graph, same pictures). Raises ExamplesError
    if the data set has no pictures or an archive is gone.
    """
    if data is None:
        data = read_sealed(dataset, needed=(TEST,))
        with data.pictures:
            return measure_bundle(bundle, dataset, data=data, report=report)
    images = data.split.images(TEST)
    if outputs is None:
        outputs = _outputs(bundle, images, data, report)
    table = example_table(dataset).set_index("image", drop=False).loc[images]
    # Data sets from before there were kinds of picture hold dermoscopic ones.
    kinds = table["image_type"].replace("", DERMOSCOPIC)
    report(Progress("figures", 0, 1))
    blocks: dict[str, dict[str, Any]] = {}
    predictions: dict[str, dict[str, Any]] = {}
    for image_type in (name for name in IMAGE_TYPES if (kinds == name).any()):
        rows = table[kinds == image_type]
        block, answered = _measure_kind(bundle, image_type, rows, outputs)
        blocks[image_type] = block
        predictions |= answered
    contamination = contamination_of(json.loads(bundle.manifest.as_bytes()), dataset, bundle.learned())
    report(Progress("figures", 1, 1))
    folder = f"evaluations/{bundle.sha256[:16]}-{dataset.test_content_fingerprint[:16]}"
    report(Progress("charts", 0, 1))
    charts = store_charts(blocks, folder=folder)
    report(Progress("charts", 1, 1))
    figures = {
        "pictures": len(images),
        "case_mix": dict(bundle.manifest.case_mix),
        "image_types": blocks,
        "charts": charts,
        "sealed_before_training": contamination.kept,
        "exposure": contamination.as_json(),
    }
    return Measured(figures, predictions)


def _measure_kind(
    bundle: Bundle, image_type: str, table: pd.DataFrame, outputs: Mapping[str, PictureOutputs]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The figures of one kind of picture, and what was answered to each. Without figures if the bundle refuses it."""
    assessor = Assessor.from_manifest(bundle.manifest)
    images = [str(image) for image in table["image"]]
    seen = [outputs[image] for image in images]
    known = metadata_of(table.reset_index(drop=True), images)
    answers, balanced = assess_all(assessor, seen, known, image_type=image_type)
    predictions = {
        image: _prediction(answer, even, image_type)
        for image, answer, even in zip(images, answers, balanced, strict=True)
    }
    if image_type not in assessor.image_types:
        return {"pictures": len(images), "refused": True}, predictions
    labels = np.array([CODES.index(code) for code in table["diagnosis"]])
    measured = KindAnswers.of(
        answers,
        balanced,
        images=images,
        labels=labels,
        lesions=lesion_groups(table.reset_index(drop=True)).tolist(),
        logits=np.stack([each.logits for each in seen]),
        case_mix=assessor.case_mix,
    )
    points = [OperatingPoint(**each) for each in bundle.manifest.image_types[image_type]["operating_points"]]
    return measure(measured, table.reset_index(drop=True), operating_points=points), predictions


def _prediction(answer: Answer, balanced: Answer, image_type: str) -> dict[str, Any]:
    """What was answered to one picture, as `Evaluation.predictions` keeps it."""
    return {
        "probabilities": [round(float(each), DECIMALS) for each in answer.probabilities],
        "balanced": [round(float(each), DECIMALS) for each in balanced.probabilities],
        "malignant_score": round(answer.malignant_score, DECIMALS),
        "decision": answer.assessment.decision.value,
        "score": answer.assessment.score,
        "image_type": image_type,
    }


def _outputs(bundle: Bundle, images: Sequence[str], data: SealedData, report: Report) -> dict[str, PictureOutputs]:
    classifier = load_classifier(bundle)
    step = classifier.backend.batch_size
    outputs: dict[str, PictureOutputs] = {}
    for start in range(0, len(images), step):
        chunk = images[start : start + step]
        outcomes = classifier.classify([data.pictures.picture(image) for image in chunk])
        outputs |= {image: outcome.outputs for image, outcome in zip(chunk, outcomes, strict=True)}
        report(Progress(STAGE, start + len(chunk), len(images)))
    return outputs


def evaluate_classifier(
    *,
    classifier: Classifier,
    dataset: Dataset,
    by: User | None = None,
    data: SealedData | None = None,
    report: Report = silent,
) -> Evaluation:
    """Measure a registered classifier on a data set's test split and store the result.

    Raises BundleError if its files are not whole, ExamplesError as `measure_bundle`.
    """
    bundle = registered_bundle(classifier)
    measured = measure_bundle(bundle, dataset, data=data, report=report)
    return record_evaluation(
        classifier=classifier, dataset=dataset, metrics=measured.metrics, predictions=measured.predictions, by=by
    )
