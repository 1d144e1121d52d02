"""An evaluation, from a sealed bundle and a sealed data set to its figures. Only workers and commands import it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import registered_bundle
from recognition.datasets.examples import metadata_of
from recognition.datasets.splits import TEST
from recognition.inference.bundle import Bundle, OperatingPoint
from recognition.inference.runtime import load_classifier
from recognition.progress import Progress, Report, silent
from recognition.taxonomy import CODES, DERMOSCOPIC
from training.data.reading import SealedData, example_table, read_sealed
from training.evaluation.drawing import store_charts
from training.evaluation.measure import hardest_mistakes, measure, subgroups
from training.models import Dataset, Evaluation
from training.services.evaluations import record_evaluation
from training.services.test_contamination import contamination_of

STAGE: Final = "evaluate"


@dataclass(frozen=True, slots=True)
class Measured:
    """Input of `record_evaluation`: figures, and the calibrated probabilities of each picture in ISIC order."""

    metrics: dict[str, Any]
    predictions: dict[str, list[float]] = field(default_factory=dict)


def measure_bundle(
    bundle: Bundle,
    dataset: Dataset,
    *,
    data: SealedData | None = None,
    answers: Mapping[str, NDArray[np.float64]] | None = None,
    report: Report = silent,
) -> Measured:
    """Run a verified bundle on the test split, in the same way as on patients' photos, and measure.

    `answers` are its probabilities if they are known from sealing it (same graph, same pictures). Raises ExamplesError
    if the data set has no pictures or an archive is gone.
    """
    if data is None:
        data = read_sealed(dataset, needed=(TEST,))
        with data.pictures:
            return measure_bundle(bundle, dataset, data=data, report=report)
    images = data.split.images(TEST)
    if answers is None:
        answers = _answers(bundle, images, data, report)
    probabilities = np.stack([answers[image] for image in images])
    table = example_table(dataset).set_index("image").loc[images]
    labels = np.array([CODES.index(code) for code in table["diagnosis"]])
    block = bundle.manifest.image_types[DERMOSCOPIC]
    points = [OperatingPoint(**point) for point in block["operating_points"]]
    report(Progress("figures", 0, 1))
    contamination = contamination_of(json.loads(bundle.manifest.as_bytes()), dataset, bundle.learned())
    figures = measure(labels, probabilities, temperature=block["calibration"]["temperature"], operating_points=points)
    report(Progress("figures", 1, 1))
    figures |= {
        "subgroups": subgroups(table, labels, probabilities, operating_points=points),
        "hardest": hardest_mistakes(images, labels, probabilities),
        "sealed_before_training": contamination.kept,
        "exposure": contamination.as_json(),
    }
    folder = f"evaluations/{bundle.sha256[:16]}-{dataset.test_content_fingerprint[:16]}"
    report(Progress("charts", 0, 1))
    figures["charts"] = store_charts(figures, folder=folder)
    report(Progress("charts", 1, 1))
    return Measured(
        figures,
        {image: [round(float(p), 9) for p in row] for image, row in zip(images, probabilities, strict=True)},
    )


def _answers(bundle: Bundle, images: Sequence[str], data: SealedData, report: Report) -> dict[str, NDArray[np.float64]]:
    classifier = load_classifier(bundle)
    step = classifier.backend.batch_size
    answers = {}
    for start in range(0, len(images), step):
        chunk = images[start : start + step]
        # With the metadata of the data set; a classifier without a metadata head ignores it.
        outcomes = classifier.classify(
            [data.pictures.picture(image) for image in chunk], metadata_of(data.examples.table, chunk)
        )
        for image, outcome in zip(chunk, outcomes, strict=True):
            answers[image] = outcome.probabilities
        report(Progress(STAGE, start + len(chunk), len(images)))
    return answers


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
