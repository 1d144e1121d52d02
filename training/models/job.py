"""`Job`: long work that a person requests and a training worker does; it can be watched and cancelled."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


# QuerySet[Any]: all kinds of jobs share the annotation of `Job.objects`, but each manager returns its kind.
class JobQuerySet(models.QuerySet[Any]):
    def waiting(self) -> Self:
        """Queued jobs, oldest first: the order in which they are claimed."""
        return self.filter(status=Job.Status.QUEUED).order_by("queued", "pk")

    def active(self) -> Self:
        """Queued and running jobs."""
        return self.filter(status__in=[Job.Status.QUEUED, Job.Status.RUNNING])

    def lease_expired(self) -> Self:
        """Running jobs whose worker has not sent a heartbeat in time."""
        return self.filter(status=Job.Status.RUNNING, lease_expires__lt=timezone.now())


class Job(models.Model):
    """Abstract: state, lease, heartbeat and progress of long work.

    A message in the broker only says "look at this row". The lease in the row decides which worker has the job, and
    every heartbeat renews it. The sweep returns the job of a lost worker to the queue; it resumes from its checkpoint.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        verbose_name=_("requested by"), help_text=_("Empty when it was started from the shell."),
    )  # fmt: skip
    created = models.DateTimeField(_("requested"), default=timezone.now, editable=False)
    queued = models.DateTimeField(_("queued"), default=timezone.now)
    published = models.DateTimeField(_("handed to the broker"), null=True, blank=True)
    started = models.DateTimeField(_("started"), null=True, blank=True)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lease = models.UUIDField(_("lease"), null=True, blank=True)
    lease_expires = models.DateTimeField(_("lease expires"), null=True, blank=True)
    heartbeat = models.DateTimeField(_("last heartbeat"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=200, blank=True)
    cancel_requested = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    # The newest report of the worker: {"stage", "done", "total", "eta_s", ...}; see recognition.progress.
    progress = models.JSONField(_("progress"), default=dict, blank=True)
    failure_code = models.CharField(_("failure"), max_length=40, blank=True)
    failure_detail = models.TextField(_("failure detail"), blank=True)
    log = models.TextField(_("log"), blank=True)

    if TYPE_CHECKING:
        # The manager of each kind returns that kind; django-stubs would take it for `Job`, depending on its cache.
        objects: ClassVar[JobQuerySet]
    else:
        objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running", "succeeded", "failed", "cancelled"]),
                name="%(class)s_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="running", lease__isnull=False, lease_expires__isnull=False)
                | (~Q(status="running") & Q(lease__isnull=True, lease_expires__isnull=True)),
                name="%(class)s_lease_while_running",
            ),
            models.CheckConstraint(
                condition=(Q(status="failed") & ~Q(failure_code="")) | (~Q(status="failed") & Q(failure_code="")),
                name="%(class)s_failed_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["succeeded", "failed", "cancelled"], finished__isnull=False)
                | Q(status__in=["queued", "running"], finished__isnull=True),
                name="%(class)s_finished_has_time",
            ),
        ]

    @property
    def is_active(self) -> bool:
        return self.status in {self.Status.QUEUED, self.Status.RUNNING}
