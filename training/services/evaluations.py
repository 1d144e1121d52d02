"""Evaluations: request one, record the result, find the result of a classifier on a data set."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from training.models import Dataset, Evaluation, EvaluationJob, Example, Job
from training.models.evaluation import PREDICTIONS_FORMAT
from training.services import jobs
from training.services.jobs import JobRejected, require_administrator


def evaluation_on(classifier: Classifier, dataset: Dataset) -> Evaluation | None:
    """The evaluation of a classifier on the test pictures of a data set; None if there is none.

    One that keeps no decisions (`Evaluation.has_decisions`) does not count: the classifier is measured again.
    """
    return Evaluation.objects.filter(
        classifier=classifier,
        fingerprint=dataset.test_content_fingerprint,
        predictions_format=PREDICTIONS_FORMAT,
    ).first()


def request_evaluation(*, classifier: Classifier, dataset: Dataset, by: User | None = None) -> EvaluationJob:
    """Queue the evaluation of a classifier on a data set's test split. A second request returns the first job.

    Raises NotAllowed, and JobRejected if it was measured before or the data set has no test images.
    """
    require_administrator(by)
    if not dataset.has_images:
        raise JobRejected(
            "dataset", _("%(name)s has tables only. Import it with its images to measure on it.") % {"name": dataset}
        )
    if not dataset.measurable().filter(split=Example.Split.TEST).exists():
        raise JobRejected("dataset", _("%(name)s has no test images.") % {"name": dataset})
    if evaluation_on(classifier, dataset) is not None:
        raise JobRejected(
            "dataset",
            _("%(classifier)s has been measured on these test images already; an evaluation never changes.")
            % {"classifier": classifier},
        )
    try:
        with transaction.atomic():
            job: EvaluationJob = EvaluationJob.objects.create(classifier=classifier, dataset=dataset, requested_by=by)
            jobs.announce(job)
    except IntegrityError:
        asked_before = active_job(classifier, dataset)
        if asked_before is None:
            raise
        return asked_before
    return job


def active_job(classifier: Classifier, dataset: Dataset) -> EvaluationJob | None:
    """The queued or running job for this classifier and data set; None if there is none."""
    active = [Job.Status.QUEUED, Job.Status.RUNNING]
    found: EvaluationJob | None = EvaluationJob.objects.filter(
        classifier=classifier, dataset=dataset, status__in=active
    ).first()
    return found


def record_evaluation(
    *,
    classifier: Classifier,
    dataset: Dataset,
    metrics: Mapping[str, Any],
    predictions: Mapping[str, Any],
    by: User | None = None,
) -> Evaluation:
    """Store the figures of a classifier on a data set's test split. A second call changes nothing.

    `predictions` has one entry per picture, as `Evaluation.predictions` describes.
    """
    require_administrator(by)
    evaluation, _created = Evaluation.objects.get_or_create(
        classifier=classifier,
        fingerprint=dataset.test_content_fingerprint,
        predictions_format=PREDICTIONS_FORMAT,
        defaults={
            "dataset": dataset,
            "metrics": dict(metrics),
            "predictions": dict(predictions),
            "created_by": by,
        },
    )
    return evaluation
