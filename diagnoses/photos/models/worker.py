"""`Worker`: the heartbeats of inference workers, and the classifier each has loaded."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class WorkerQuerySet(models.QuerySet["Worker"]):
    def heard_from_lately(self) -> "WorkerQuerySet":
        """Workers with a heartbeat within `WORKER_SILENCE`."""
        return self.filter(last_seen__gte=timezone.now() - settings.WORKER_SILENCE)

    def last_heard(self) -> datetime | None:
        """The time of the last heartbeat of any worker."""
        newest = self.order_by("-last_seen").first()
        return newest.last_seen if newest else None


class Worker(models.Model):
    """One inference worker. Its own sweep task writes the row, which proves that broker, worker and database work."""

    name = models.CharField(_("name"), max_length=200, primary_key=True)
    runtime = models.CharField(_("runtime"), max_length=20, blank=True)
    classifier = models.CharField(_("loaded classifier"), max_length=100, blank=True)
    last_seen = models.DateTimeField(_("last seen"))

    objects: ClassVar[WorkerQuerySet] = WorkerQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-last_seen"]

    def __str__(self) -> str:
        return self.name
