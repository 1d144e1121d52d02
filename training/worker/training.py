"""One claimed run, from its row to its classifier: train, evaluate, register.

The training worker (in a process of its own) and `manage.py train` (in the foreground) use the same code.
"""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import register_bundle, registered_bundle
from recognition.failpoints import failpoint
from recognition.fit.run import train_classifier
from recognition.inference.bundle import Bundle, BundleError
from recognition.inference.outputs import PictureOutputs
from recognition.progress import Report, silent
from recognition.recipes import Recipe
from training.data.reading import read_sealed
from training.evaluation.evaluating import evaluate_classifier, measure_bundle
from training.models import Job, TrainingRun
from training.services import jobs
from training.services.ancestry import learned_of
from training.services.evaluations import evaluation_on, record_evaluation
from training.worker.epochs import Epochs
from training.worker.execution import Wording, execute
from training.worker.reporter import Reporter

WORDING: Final = Wording(
    cancelled="Cancelled; the checkpoint stays, and the run can be resumed.",
    disk_full="The disk is full. Free some space and resume the run: it goes on from its last whole checkpoint.",
    out_of_memory="Memory ran out. Choose a smaller batch_size or input_size, or a machine with more memory.",
)


def run_folder(run_id: UUID) -> Path:
    """The folder of a run's checkpoints, until it has succeeded."""
    return Path(settings.TRAINING_WORK_DIR) / "runs" / str(run_id)


def train_claimed(
    claim: jobs.JobClaim,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do a claimed run; returns as `execute` does. After an interruption it goes on from its last whole checkpoint."""
    status = execute(
        claim,
        lambda report: _train(claim, report),
        wording=WORDING,
        should_stop=should_stop,
        when_stopped=when_stopped,
        also=also,
    )
    if status == Job.Status.SUCCEEDED:
        shutil.rmtree(run_folder(claim.pk), ignore_errors=True)
    return status


def _train(claim: jobs.JobClaim, report: Reporter) -> Callable[[TrainingRun], None]:
    """Train, seal and measure. The returned function registers the classifier and its evaluation."""
    run = TrainingRun.objects.select_related("dataset", "parent", "requested_by").get(pk=claim.pk)
    recipe = Recipe.from_json(run.settings)
    folder = run_folder(run.pk)
    data = read_sealed(run.dataset)
    report.follow(Epochs(recipe, history=run.history, train_pictures=len(data.split.images("train"))))
    outputs: dict[str, PictureOutputs] = {}
    with data.pictures:
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
            parent_learned=None if run.parent is None else learned_of(run.parent),
            test_outputs=outputs,
            report=report,
        )
        measured = measure_bundle(bundle, run.dataset, data=data, outputs=outputs, report=report)
        live = Classifier.objects.live()
        # The promotion gates compare with the live classifier on the same pictures, so measure it too.
        if live is not None and evaluation_on(live, run.dataset) is None:
            with contextlib.suppress(BundleError):
                evaluate_classifier(classifier=live, dataset=run.dataset, data=data, report=report)
    report.log(f"Sealed {bundle.version}, sha256 {bundle.sha256}.")
    failpoint("training_before_commit", photo=run.pk)

    def keep(locked: TrainingRun) -> None:
        classifier = register_bundle(directory=bundle.directory, by=run.requested_by)
        record_evaluation(
            classifier=classifier, dataset=run.dataset, metrics=measured.metrics, predictions=measured.predictions
        )
        locked.classifier = classifier

    return keep


def version_name(run: TrainingRun) -> str:
    """The name of the classifier that a run makes: the recipe and the first letters of the run's id."""
    return f"{run.recipe.lower().replace('_', '-')}-{run.pk.hex[:8]}"


def _imagenet_weights(recipe: Recipe) -> Path | None:
    """The file that the settings name. None if there is none: training then downloads Keras's own."""
    path = Path(settings.IMAGENET_WEIGHTS)
    return path if recipe.needs_imagenet_weights and path.is_file() else None


def _parent(run: TrainingRun) -> Bundle | None:
    return None if run.parent is None else registered_bundle(run.parent)
