"""Own `Worker`: the inference workers that were heard from, and what they have loaded."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class WorkerQuerySet(models.QuerySet["Worker"]):
    def heard_from_lately(self) -> "WorkerQuerySet":
        """Workers that proved themselves within `WORKER_SILENCE`."""
        return self.filter(last_seen__gte=timezone.now() - settings.WORKER_SILENCE)

    def last_heard(self) -> datetime | None:
        """When any worker was last heard from."""
        newest = self.order_by("-last_seen").first()
        return newest.last_seen if newest else None


class Worker(models.Model):
    """One inference worker. The row is written by its own sweep task: it proves broker, worker and database at once."""

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
