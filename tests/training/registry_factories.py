"""Made-up evaluations for the tests of promotion: a data set of both kinds of picture, and answers about it."""

import copy
import hashlib
import itertools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from diagnoses.classifiers.models import Classifier
from recognition.inference.assessment import Decision
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, MALIGNANT_POSITIONS
from training.models import Dataset, Evaluation, Example, ImageArchive
from training.services.evaluations import record_evaluation

BOTH: Final = (DERMOSCOPIC, CLOSE_UP)
COUNTS: Final[Mapping[str, int]] = {
    "MEL": 60,
    "NV": 120,
    "BCC": 60,
    "AK": 20,
    "BKL": 60,
    "DF": 12,
    "VASC": 12,
    "SCC": 40,
}
"""Test lesions of each diagnosis, of each kind of picture."""

Predictions = dict[str, dict[str, Any]]

_numbers = itertools.count(1)


def dataset_of_rows(
    name: str = "tested",
    *,
    image_types: tuple[str, ...] = BOTH,
    counts: Mapping[str, int] = COUNTS,
    per_lesion: int = 1,
) -> Dataset:
    """A data set with test pictures only, as rows; no picture is stored."""
    print_ = hashlib.sha256(f"{name} {next(_numbers)}".encode()).hexdigest()
    archive = ImageArchive.objects.create(name=f"{name}-{print_}", sha256=print_, size=1)
    dataset = Dataset.objects.create(
        name=name, fingerprint=print_, test_content_fingerprint=print_, has_images=True, example_count=0
    )
    Example.objects.bulk_create(
        Example(
            dataset=dataset,
            image=f"{code}-{kind}-{lesion:03d}-{picture}",
            diagnosis=code,
            # A picture without a kind is dermoscopic.
            image_type="" if image_type == DERMOSCOPIC else image_type,
            lesion_id=f"{code}-{kind}-{lesion}" if per_lesion > 1 else "",
            split="test",
            archive=archive,
            member=f"{code}-{kind}-{lesion}-{picture}.jpg",
            sha256=hashlib.sha256(f"{name}{code}{kind}{lesion}{picture}".encode()).hexdigest(),
            width=80,
            height=60,
        )
        for kind, image_type in enumerate(image_types)
        for code, count in counts.items()
        for lesion in range(count)
        for picture in range(per_lesion)
    )
    return dataset


def made_predictions(dataset: Dataset, *, skill: float = 2.5, seed: int = 1) -> Predictions:
    """Answers about the test pictures, with advice by two thresholds. `skill` 0 is chance."""
    generator = np.random.default_rng(seed)
    made = {}
    for image, code, image_type in dataset.examples.order_by("image").values_list("image", "diagnosis", "image_type"):
        logits = generator.normal(size=len(CODES))
        logits[CODES.index(code)] += skill
        powers = np.exp(logits)
        made[image] = answer((powers / powers.sum()).tolist(), image_type or DERMOSCOPIC)
    return made


def answer(probabilities: list[float], image_type: str = DERMOSCOPIC) -> dict[str, Any]:
    """One picture's entry of `Evaluation.predictions`."""
    score = float(sum(probabilities[at] for at in MALIGNANT_POSITIONS))
    decision = Decision.URGENT if score >= 0.7 else Decision.SOON if score >= 0.3 else Decision.MONITOR
    return {
        "probabilities": probabilities,
        "balanced": probabilities,
        "malignant_score": score,
        "decision": decision.value,
        "score": 1 + int(score * 9),
        "image_type": image_type,
    }


def changed(predictions: Predictions) -> Predictions:
    """A copy that may be changed."""
    return copy.deepcopy(predictions)


def classifier(version: str, *, image_types: tuple[str, ...] = BOTH, **manifest: Any) -> Classifier:
    """A registered classifier without files that knows these kinds of picture."""
    block: dict[str, Any] = {"calibration": {}, "operating_points": [], "assessment": {}, "metrics": {}}
    described = {
        "version": version,
        "diagnoses": list(CODES),
        "dataset": {"name": "tested", "fingerprint": "f" * 64, "pictures": 8},
        "split": {"fingerprint": "s" * 64, "pictures": {"train": 5}},
        "recipe": {"name": "SMOKE"},
        "architecture": {"backbone": "tiny", "input_size": 32},
        "preprocessing": {"reference_long_side": 200},
        "image_types": dict.fromkeys(image_types, block),
        "provenance": {},
        "licence": "CC BY-NC 4.0",
        "created": "2026-01-01",
        **manifest,
    }
    return Classifier.objects.create(version=version, sha256=version.ljust(64, "0"), manifest=described)


def measured(classifier: Classifier, dataset: Dataset, predictions: Predictions, **metrics: Any) -> Evaluation:
    """The evaluation of a classifier with these answers."""
    return record_evaluation(
        classifier=classifier,
        dataset=dataset,
        metrics={"sealed_before_training": True, **metrics},
        predictions=predictions,
    )
