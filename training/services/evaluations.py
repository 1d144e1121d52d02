"""Writes of evaluations, and the one question the registry asks of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import User
from diagnoses.models import Classifier
from training.models import Dataset, Evaluation
from training.services.jobs import require_administrator


def evaluation_on(classifier: Classifier, dataset: Dataset) -> Evaluation | None:
    """What the classifier achieved on these very test pictures, if that was measured."""
    return Evaluation.objects.filter(classifier=classifier, fingerprint=dataset.test_fingerprint).first()


def record_evaluation(
    *,
    classifier: Classifier,
    dataset: Dataset,
    metrics: Mapping[str, Any],
    predictions: Mapping[str, Sequence[float]],
    by: User | None = None,
) -> Evaluation:
    """Keep the figures of a classifier on a data set's test split. A second time changes nothing."""
    require_administrator(by)
    evaluation, _ = Evaluation.objects.get_or_create(
        classifier=classifier,
        fingerprint=dataset.test_fingerprint,
        defaults={
            "dataset": dataset,
            "metrics": dict(metrics),
            "predictions": {image: list(row) for image, row in predictions.items()},
            "created_by": by,
        },
    )
    return evaluation
