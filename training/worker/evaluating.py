"""Own one claimed evaluation from its rows to its figures: run the bundle over the test split, measure, keep."""

from collections.abc import Callable

from django.db import transaction

from diagnoses.faults import fault
from diagnoses.services import registered_bundle
from training.evaluation.room import measure_bundle
from training.models import Evaluation, EvaluationJob, Job
from training.pipeline.progress import Progress, Report, silent
from training.services import jobs
from training.services.evaluations import evaluation_on, record_evaluation
from training.worker.ending import carry_out
from training.worker.reporter import Reporter


def evaluate_claimed(
    claim: jobs.JobClaim,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do a claimed evaluation; returns as `carry_out` does. One that was cut off begins again: it takes a minute."""
    return carry_out(
        claim,
        lambda: _evaluate(claim, should_stop, also),
        when_stopped=when_stopped,
        cancelled="Cancelled; nothing was kept.",
        disk_full="The disk is full. Free some space and ask again.",
    )


def _evaluate(claim: jobs.JobClaim, should_stop: Callable[[], bool], also: Report) -> None:
    job = EvaluationJob.objects.select_related("classifier", "dataset", "requested_by").get(pk=claim.pk)
    if (known := evaluation_on(job.classifier, job.dataset)) is not None:
        # A run that ended meanwhile has measured the live classifier on its own data set.
        _finish(claim, known)
        return
    bundle = registered_bundle(job.classifier)
    with Reporter(claim, should_stop=should_stop, also=also) as report:
        report.log(f"Attempt {claim.attempt} on {job.worker}.")

        def faulty(progress: Progress) -> None:
            fault(f"evaluation_{progress.stage}_{progress.done}", photo=job.pk)
            report(progress)

        measured = measure_bundle(bundle, job.dataset, report=faulty)
    with transaction.atomic():
        # A late worker finds no lease here and leaves without an evaluation.
        if not EvaluationJob.objects.select_for_update().filter(pk=claim.pk, lease=claim.lease).exists():
            raise jobs.LeaseLost
        # Whoever asked was allowed to then, and may have another role by now.
        asked = job.requested_by if job.requested_by is not None and job.requested_by.is_administrator else None
        evaluation = record_evaluation(
            classifier=job.classifier,
            dataset=job.dataset,
            metrics=measured.metrics,
            predictions=measured.predictions,
            by=asked if asked is not None and asked.is_active else None,
        )
        _finish(claim, evaluation)


def _finish(claim: jobs.JobClaim, evaluation: Evaluation) -> None:
    def link(locked: EvaluationJob) -> None:
        locked.evaluation = evaluation

    if not jobs.finish(claim, Job.Status.SUCCEEDED, and_then=link):
        raise jobs.LeaseLost
