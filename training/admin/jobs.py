"""What the pages of all jobs share: permission, live progress, and that a job is never edited or deleted."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from training.models import Job
from training.services.jobs import queue_position

J = TypeVar("J", bound=Job)

STYLES: Final = {"all": ["css/admin-training.css"]}

FAILURES: Final = {
    "diverged": gettext_lazy("The training diverged"),
    "collapsed": gettext_lazy("The network calls nearly everything one diagnosis"),
    "disk_full": gettext_lazy("The disk is full"),
    "out_of_memory": gettext_lazy("Memory ran out"),
    "worker_lost": gettext_lazy("The worker was lost too often"),
    "bad_settings": gettext_lazy("The settings are not those of this version"),
    "weights": gettext_lazy("The starting weights do not fit"),
    "data": gettext_lazy("The data set cannot be read"),
    "parity": gettext_lazy("The exported graph differs from the network"),
    "not_finite": gettext_lazy("The network answers with something that is not a number"),
    "export": gettext_lazy("The network could not be exported"),
    "bundle": gettext_lazy("The classifier to continue is not whole"),
    "parent_bundle": gettext_lazy("The classifier to continue is not whole"),  # of runs until November 2026
    "registration": gettext_lazy("The classifier could not be registered"),
    "other_run": gettext_lazy("The checkpoints belong to another run"),
    "unexpected": gettext_lazy("Something unforeseen happened"),
}

POLL_MS: Final = 2000
POLL_WAITING_MS: Final = 5000


def administrator(request: HttpRequest) -> User:
    """The user of the request. Raises PermissionDenied for anybody but an administrator."""
    user = request.user
    if not isinstance(user, User) or not user.is_administrator:
        raise PermissionDenied
    return user


class JobAdmin(ReadOnlyAdmin[J]):
    """Jobs, newest first. A job is requested and cancelled; it is never edited, and its row is not deleted.

    `adds` is True for a kind of job that has a page to request it.
    """

    adds = True
    key = "int"  # the converter of its primary key in addresses

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.adds and admin.ModelAdmin.has_add_permission(self, request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def own(self, address: str, view: Any, name: str) -> URLPattern:
        """A URL below that of one job, for administrators."""
        whole = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        address_of: URLPattern = path(f"<{self.key}:pk>/{address}", self.admin_site.admin_view(view), name=whole)
        return address_of

    def back(self, request: HttpRequest, pk: Any, *, done: bool, said: str, otherwise: str) -> HttpResponse:
        """Redirect to the page of the job, with a message: what was done, or why not."""
        if done:
            messages.success(request, said)
        else:
            messages.info(request, otherwise)
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]))


def live_context(job: Job, stages: Mapping[str, str | Promise]) -> dict[str, Any]:
    """Context of every live page; `stages` are the stages of the job in words."""
    progress = job.progress
    done, total = progress.get("done", 0), progress.get("total", 0)
    return {
        "stage": stages.get(progress.get("stage", ""), _("Starting")),
        "progress": progress,
        "percent": round(100 * done / total) if total else 0,
        "eta": duration(progress.get("eta_s")),
        "position": queue_position(job),
        "failure": FAILURES.get(job.failure_code, job.failure_code),
        "poll_ms": POLL_WAITING_MS if job.status == Job.Status.QUEUED else POLL_MS,
    }


def duration(seconds: float | None) -> str:
    """ "2 h 5 min", "3 min 20 s", or "" if it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return _("%(h)s h %(m)s min") % {"h": hours, "m": minutes}
    return _("%(m)s min %(s)s s") % {"m": minutes, "s": rest} if minutes else _("%(s)s s") % {"s": rest}
