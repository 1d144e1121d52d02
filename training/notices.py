"""Operator notices about jobs, for the admin's first page: those that run or wait, and those that failed lately."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from diagnoses.monitoring.notices import Level, Notice
from training.models import DatasetImport, EvaluationJob, Job, TrainingRun

LATELY: Final = timedelta(hours=24)
"""Older failures are not shown."""

SHOWN: Final = 5
"""Jobs of one kind that are named; the list of jobs has the rest."""


def jobs() -> Iterator[Notice]:
    """Notices about runs, evaluations and imports: running, waiting, and failed within a day."""
    for model in (TrainingRun, EvaluationJob, DatasetImport):
        rows = model._default_manager.defer("log", "progress").order_by("-created")
        for job in rows.filter(status__in=[Job.Status.QUEUED, Job.Status.RUNNING])[:SHOWN]:
            yield Notice(Level.GOING_ON, _said_of_active(job), _path(job), _link(job))
        failed = rows.filter(status=Job.Status.FAILED, finished__gte=timezone.now() - LATELY)
        for job in failed[:SHOWN]:
            yield Notice(Level.SOON, _said_of_failed(job), _path(job), _link(job))


def _said_of_active(job: Job) -> str:
    words = {"name": job, "when": date_format(localtime(job.started or job.queued), "DATETIME_FORMAT")}
    running = job.status == Job.Status.RUNNING
    match job:
        case TrainingRun():
            said = _("Training “%(name)s” has been running since %(when)s.") if running else _(
                "Training “%(name)s” has been waiting since %(when)s."
            )  # fmt: skip
        case EvaluationJob():
            said = _("Evaluation “%(name)s” has been running since %(when)s.") if running else _(
                "Evaluation “%(name)s” has been waiting since %(when)s."
            )  # fmt: skip
        case _other:
            said = _("Import “%(name)s” has been running since %(when)s.") if running else _(
                "Import “%(name)s” has been waiting since %(when)s."
            )  # fmt: skip
    return said % words


def _said_of_failed(job: Job) -> str:
    match job:
        case TrainingRun():
            said = _("Training “%(name)s” failed within the last 24 hours.")
        case EvaluationJob():
            said = _("Evaluation “%(name)s” failed within the last 24 hours.")
        case _other:
            said = _("Import “%(name)s” failed within the last 24 hours.")
    return said % {"name": job}


def _path(job: Job) -> str:
    return reverse(f"admin:training_{job._meta.model_name}_change", args=[job.pk])


def _link(job: Job) -> str:
    match job:
        case TrainingRun():
            return _("Training run")
        case EvaluationJob():
            return _("Evaluation")
        case _other:
            return _("Import")
