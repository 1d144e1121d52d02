"""One claimed evaluation, from its row to its figures: run the bundle on the test split, measure, store."""

from collections.abc import Callable
from typing import Final

from diagnoses.classifiers.services import registered_bundle
from recognition.progress import Report, silent
from training.evaluation.evaluating import measure_bundle
from training.models import Evaluation, EvaluationJob, Job
from training.services import jobs
from training.services.evaluations import evaluation_on, record_evaluation
from training.worker.execution import Wording, execute
from training.worker.reporter import Reporter

WORDING: Final = Wording(
    cancelled="Cancelled; nothing was kept.",
    disk_full="The disk is full. Free some space and ask again.",
    out_of_memory="Memory ran out. Ask again on a machine with more memory.",
)


def evaluate_claimed(
    claim: jobs.JobClaim,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do a claimed evaluation; returns as `execute` does. After an interruption it begins again: it takes a minute."""
    return execute(
        claim,
        lambda report: _evaluate(claim, report),
        wording=WORDING,
        should_stop=should_stop,
        when_stopped=when_stopped,
        also=also,
    )


def _evaluate(claim: jobs.JobClaim, report: Reporter) -> Callable[[EvaluationJob], None]:
    job = EvaluationJob.objects.select_related("classifier", "dataset", "requested_by").get(pk=claim.pk)
    if (known := evaluation_on(job.classifier, job.dataset)) is not None:
        # A run has measured this classifier on its data set since the evaluation was requested.
        return lambda locked: _link(locked, known)
    measured = measure_bundle(registered_bundle(job.classifier), job.dataset, report=report)

    def keep(locked: EvaluationJob) -> None:
        evaluation = record_evaluation(
            classifier=job.classifier,
            dataset=job.dataset,
            metrics=measured.metrics,
            predictions=measured.predictions,
            by=jobs.on_behalf_of(job),
        )
        _link(locked, evaluation)

    return keep


def _link(job: EvaluationJob, evaluation: Evaluation) -> None:
    job.evaluation = evaluation
