"""Own one claimed run from its rows to its classifier: train, evaluate, register, finish.

The same code runs under the training worker (in a process of its own) and under `manage.py train` in the foreground.
"""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from diagnoses.faults import fault
from diagnoses.inference.bundle import Bundle, BundleError
from diagnoses.models import Classifier
from diagnoses.services import register_bundle, registered_bundle
from training.data.reading import SealedData, read_sealed
from training.evaluation.room import evaluate_classifier, measure_bundle
from training.models import Job, TrainingRun
from training.pipeline.progress import Progress, Report, silent
from training.pipeline.run import train_classifier
from training.recipes import Recipe
from training.services import jobs
from training.services.evaluations import evaluation_on, record_evaluation
from training.worker.ending import carry_out
from training.worker.reporter import Reporter


def run_folder(run: TrainingRun) -> Path:
    """Where a run's checkpoints lie until it has succeeded."""
    return Path(settings.TRAINING_WORK_DIR) / "runs" / str(run.pk)


def train_claimed(
    claim: jobs.JobClaim,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do a claimed run; returns as `carry_out` does."""
    return carry_out(
        claim,
        lambda: _train(claim, should_stop, also),
        when_stopped=when_stopped,
        cancelled="Cancelled; the checkpoint stays, and the run can be resumed.",
        disk_full="The disk is full. Free some space and resume the run: it goes on from its last whole checkpoint.",
    )


def _train(claim: jobs.JobClaim, should_stop: Callable[[], bool], also: Report) -> None:
    run = TrainingRun.objects.select_related("dataset", "parent", "requested_by").get(pk=claim.pk)
    recipe = Recipe.from_json(run.settings)
    folder = run_folder(run)
    data = read_sealed(run.dataset)
    with data.pictures, Reporter(
        claim,
        recipe=recipe,
        history=run.history,
        train_pictures=len(data.split.images("train")),
        should_stop=should_stop,
        also=also,
    ) as report:  # fmt: skip
        report.log(f"Attempt {claim.attempt} on {run.worker}.")

        def faulty(progress: Progress) -> None:
            fault(f"training_{progress.stage}_{progress.done}", photo=run.pk)
            report(progress)

        answers: dict[str, Any] = {}
        bundle = train_classifier(
            recipe=recipe,
            examples=data.examples,
            split=data.split,
            pictures=data.pictures,
            imagenet_weights=_imagenet_weights(recipe),
            work=Path(settings.TRAINING_WORK_DIR),
            directory=folder / "bundle",
            version=version_name(run),
            run_folder=folder,
            parent=_parent(run),
            test_probabilities=answers,
            report=faulty,
        )
        _register(claim, run, bundle=bundle, data=data, answers=answers, report=report)
    shutil.rmtree(folder, ignore_errors=True)


def version_name(run: TrainingRun) -> str:
    """The name of the classifier a run makes: recipe and the beginning of the run's id, unique and short."""
    return f"{run.recipe.lower().replace('_', '-')}-{run.pk.hex[:8]}"


def _register(
    claim: jobs.JobClaim,
    run: TrainingRun,
    *,
    bundle: Bundle,
    data: SealedData,
    answers: dict[str, Any],
    report: Report,
) -> None:
    """Measure the sealed bundle, then register it, its evaluation and the end of the run together or not at all."""
    measured = measure_bundle(bundle, run.dataset, data=data, answers=answers, report=report)
    live = Classifier.objects.live()
    # The gates of promotion compare with the live classifier on the same pictures: measure it there as well.
    if live is not None and evaluation_on(live, run.dataset) is None:
        with contextlib.suppress(BundleError):
            evaluate_classifier(classifier=live, dataset=run.dataset, data=data, report=report)
    fault("training_before_commit", photo=run.pk)
    with transaction.atomic():
        # A late worker finds no lease here and leaves without a classifier.
        if not TrainingRun.objects.select_for_update().filter(pk=claim.pk, lease=claim.lease).exists():
            raise jobs.LeaseLost
        classifier = register_bundle(directory=bundle.directory, by=run.requested_by)
        record_evaluation(
            classifier=classifier, dataset=run.dataset, metrics=measured.metrics, predictions=measured.predictions
        )

        def link(job: TrainingRun) -> None:
            job.classifier = classifier

        jobs.append_log(claim, f"Sealed {classifier.version}, sha256 {classifier.sha256}.")
        if not jobs.finish(claim, Job.Status.SUCCEEDED, and_then=link):
            raise jobs.LeaseLost


def _imagenet_weights(recipe: Recipe) -> Path | None:
    path = Path(settings.IMAGENET_WEIGHTS)
    return path if recipe.needs_imagenet_weights and path.is_file() else None


def _parent(run: TrainingRun) -> Bundle | None:
    return None if run.parent is None else registered_bundle(run.parent)
