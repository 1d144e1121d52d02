"""Own the last step of a run: measure the drafted classifier on the calibration and test splits, and seal it.

The calibration split gives the temperature and the operating points; the test split is read once, here, for the
figures that go into the manifest. Both are run through the exported graph, which is what will answer patients.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from diagnoses.inference.bundle import Bundle, OperatingPoint
from diagnoses.inference.metadata import MetadataHead
from diagnoses.inference.preprocessing import preprocess
from diagnoses.inference.runtime import OnnxBackend, softmax
from diagnoses.inference.sealing import Draft, draft_bundle, seal_bundle
from diagnoses.taxonomy import CODES
from training.pipeline import metrics
from training.pipeline.about import metadata_of
from training.pipeline.calibration import choose_operating_points, fit_temperature
from training.pipeline.examples import Examples, Pictures, fingerprint_of_test
from training.pipeline.progress import Progress, Report, silent
from training.pipeline.splits import CALIBRATION, TEST, VALIDATION, Split
from training.recipes import Recipe

if TYPE_CHECKING:
    import keras

PROBE_PER_DIAGNOSIS: Final = 4
"""Validation pictures of each diagnosis on which Keras and the graph are compared."""


def seal_network(
    network: "keras.Model",
    *,
    recipe: Recipe,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    directory: Path,
    version: str,
    provenance: Mapping[str, Any],
    metadata_head: MetadataHead | None = None,
    test_probabilities: dict[str, NDArray[np.float64]] | None = None,
    report: Report = silent,
) -> Bundle:
    """Export, calibrate, measure and seal a trained network.

    `test_probabilities` receives the calibrated probabilities of each test picture, which an evaluation need not
    compute a second time. With a `metadata_head` everything is calibrated and measured with the metadata of the rows;
    the manifest's figures say what the picture alone would reach.

    Raises SealingError, ExportError or OSError; `directory` then holds what it held before.
    """
    draft = draft_bundle(
        network,
        architecture=recipe.architecture,
        preprocessing=recipe.preprocessing,
        beside=directory,
        metadata_head=metadata_head,
    )
    try:
        labels = _labels(examples)
        logits, of_picture, truth = {}, {}, {}
        for name in (CALIBRATION, TEST):
            images = split.images(name)
            truth[name] = np.array([labels[image] for image in images])
            logits[name] = of_picture[name] = _logits(draft, images, pictures, report)
            if metadata_head is not None:
                logits[name] = logits[name] + metadata_head.contribution(metadata_of(examples.table, images))
        temperature = fit_temperature(logits[CALIBRATION], truth[CALIBRATION])
        points = choose_operating_points(truth[CALIBRATION], softmax(logits[CALIBRATION] / temperature))
        figures = measure(truth[TEST], logits[TEST], temperature=temperature, operating_points=points)
        if metadata_head is not None:
            figures["picture_alone"] = picture_alone(truth[TEST], of_picture[TEST], temperature=temperature)
        if test_probabilities is not None:
            test_probabilities |= dict(zip(split.images(TEST), softmax(logits[TEST] / temperature), strict=True))
        probe = _probe(split.images(VALIDATION), labels, recipe, pictures)
    except BaseException:
        draft.discard()
        raise
    report(Progress("seal", 0, 1))
    bundle = seal_bundle(
        draft,
        directory=directory,
        version=version,
        probe=probe,
        temperature=temperature,
        operating_points=points,
        dataset={"name": examples.name, "fingerprint": examples.fingerprint, "pictures": len(examples)},
        split={
            "fingerprint": split.fingerprint,
            # Of the test pictures alone: a later version of the data set keeps them, and classifiers stay comparable.
            "test_fingerprint": split.test_fingerprint,
            # Of their labels and pixels as well: what comparisons go by.
            "test_content_fingerprint": fingerprint_of_test(examples.table, split),
            "seed": split.seed,
            "shares": dict(split.shares),
            "pictures": {name: len(split.images(name)) for name in split.shares},
        },
        recipe=recipe.as_json(),
        metrics=figures,
        provenance=provenance,
    )
    report(Progress("seal", 1, 1))
    return bundle


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
        return {"value": _json(figure(labels, calibrated)), "low": _json(low), "high": _json(high)}

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
            "specificity": _json(1.0 - (called - right) / others if others else math.nan),
            "precision": _json(right / called if called else math.nan),
            "auc": _json(areas[position]),
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
        "majority_baseline": _json(majority),
        "malignant_auc": with_interval(metrics.malignant_auc),
        "mean_class_auc": _json(float(np.nanmean(areas))),
        "log_loss": {
            "before": _json(metrics.log_loss(labels, plain)),
            "after": _json(metrics.log_loss(labels, calibrated)),
        },
        "expected_calibration_error": {
            "before": _json(metrics.expected_calibration_error(labels, plain)),
            "after": _json(metrics.expected_calibration_error(labels, calibrated)),
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
        "balanced_accuracy": _json(metrics.balanced_accuracy(labels, calibrated)),
        "malignant_auc": _json(metrics.malignant_auc(labels, calibrated)),
        "expected_calibration_error": _json(metrics.expected_calibration_error(labels, calibrated)),
    }


def _json(value: float | np.floating[Any]) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _labels(examples: Examples) -> dict[str, int]:
    positions = {code: position for position, code in enumerate(CODES)}
    return {
        image: positions[diagnosis]
        for image, diagnosis in zip(examples.table["image"], examples.table["diagnosis"], strict=True)
    }


def _logits(draft: Draft, images: Sequence[str], pictures: Pictures, report: Report) -> NDArray[np.float32]:
    parts = []
    backend: OnnxBackend = draft.backend
    for start in range(0, len(images), backend.batch_size):
        chunk = images[start : start + backend.batch_size]
        pixels = np.stack([preprocess(pictures.picture(image), draft.preprocessing) for image in chunk])
        parts.append(backend.run(pixels)[0])
        report(Progress("evaluate", start + len(chunk), len(images)))
    return np.concatenate(parts)


def _probe(images: Sequence[str], labels: Mapping[str, int], recipe: Recipe, pictures: Pictures) -> NDArray[np.float32]:
    chosen: list[str] = []
    for position in range(len(CODES)):
        same = [image for image in images if labels[image] == position]
        chosen += same[:PROBE_PER_DIAGNOSIS]
    return np.stack([preprocess(pictures.picture(image), recipe.preprocessing) for image in chosen])
