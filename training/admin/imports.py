"""Pages of imports: ask for one, join data sets, watch, read what is wrong with the files."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.csv_rows import csv_response
from training.admin.datasets import STYLES, number
from training.admin.jobs import JobAdmin, administrator
from training.forms.imports import ImportForm, JoinForm
from training.models import DatasetImport
from training.services.imports import SOURCES, UPLOAD
from training.services.jobs import lane_is_busy, queue_position, request_cancel

PROBLEMS_ON_PAGE: Final = 200

STAGES: Final = (
    ("tables", gettext_lazy("Read the tables")),
    ("joining", gettext_lazy("Join the tables")),
    ("pictures", gettext_lazy("Decode every image")),
    ("split", gettext_lazy("Deal the split")),
    ("duplicates", gettext_lazy("Look for duplicates")),
    ("figures", gettext_lazy("Compute the figures")),
    ("charts", gettext_lazy("Draw the charts")),
    ("checksum", gettext_lazy("Checksum")),
    ("storing", gettext_lazy("Store the images")),
    ("rows", gettext_lazy("Write the data set")),
)
_SOURCE_LABELS: Final = {
    "ground_truth": gettext_lazy("Diagnoses"),
    "metadata": gettext_lazy("Metadata"),
    "supplement": gettext_lazy("Supplement"),
    "images": gettext_lazy("Images"),
    "same_lesion": gettext_lazy("Lesions with two ids"),
    "leave_out": gettext_lazy("Lesions to leave out"),
}
PICTURE_STAGES: Final = frozenset({"pictures", "duplicates", "checksum", "storing"})
FILE_STAGES: Final = frozenset({"pictures", "checksum", "storing"})
"""Stages that joining does not have: it reads no image and stores none."""


@admin.register(DatasetImport)
class DatasetImportAdmin(JobAdmin[DatasetImport]):
    list_display = ["name", "layout", "status", "stage", "dataset", "requested_by", "created"]
    list_filter = ["status"]
    list_select_related = ["dataset", "requested_by"]

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("stage"))
    def stage(self, job: DatasetImport) -> str:
        if not job.is_active:
            return "–"
        return str(dict(STAGES).get(job.progress.get("stage", ""), _("waiting")))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own("progress/", self.progress_view, "progress"),
            self.own("cancel/", require_POST(self.cancel_view), "cancel"),
            self.own("faults.csv", self.faults_view, "faults"),
            path("join/", self.admin_site.admin_view(self.join_view), name="training_datasetimport_join"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The import form; a valid one queues the job and leads to its page."""
        user = administrator(request)
        if request.method == "POST":
            form = ImportForm(request.POST, request.FILES)
            job = form.request(by=user) if form.is_valid() else None
            if job is not None:
                return HttpResponseRedirect(reverse("admin:training_datasetimport_change", args=[job.pk]))
        else:
            # The links "found in the data folder" give initial values in the address.
            known = ("name", "ground_truth", "metadata", "supplement", "images")
            form = ImportForm(initial={key: request.GET[key] for key in known if key in request.GET})
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Import a data set"),
            "media": self.media + form.media,
            "form": form,
        }
        return TemplateResponse(
            request, "admin/training/datasetimport/new.html", context, status=422 if form.errors else 200
        )

    def join_view(self, request: HttpRequest) -> HttpResponse:
        """The form to join data sets; a valid one queues the job and leads to its page."""
        user = administrator(request)
        if request.method == "POST":
            form = JoinForm(request.POST, request.FILES)
            job = form.request(by=user) if form.is_valid() else None
            if job is not None:
                return HttpResponseRedirect(reverse("admin:training_datasetimport_change", args=[job.pk]))
        else:
            form = JoinForm(initial={"parts": request.GET.getlist("part")})
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Join data sets"),
            "media": self.media + form.media,
            "form": form,
        }
        return TemplateResponse(
            request, "admin/training/datasetimport/join.html", context, status=422 if form.errors else 200
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one import, live while it runs."""
        administrator(request)
        job = get_object_or_404(
            DatasetImport.objects.select_related("dataset", "requested_by", "previous"), pk=number(object_id)
        )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Import of %(name)s") % {"name": job.name},
            "media": self.media,
            **_job_context(job),
        }
        return TemplateResponse(request, "admin/training/datasetimport/page.html", context)

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes."""
        administrator(request)
        job = get_object_or_404(DatasetImport.objects.select_related("dataset", "requested_by", "previous"), pk=pk)
        return TemplateResponse(request, "admin/training/datasetimport/progress.html", _job_context(job))

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the import to end."""
        user = administrator(request)
        return self.back(
            request,
            pk,
            done=request_cancel(get_object_or_404(DatasetImport, pk=pk), by=user),
            said=_("The import will stop at once; nothing of it is kept."),
            otherwise=_("The import had ended already."),
        )

    def faults_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Every stored problem of the files as CSV."""
        administrator(request)
        job = get_object_or_404(DatasetImport, pk=pk)
        rows = [[problem["file"], problem["line"] or None, problem["reason"]] for problem in job.faults]
        return csv_response(f"{job.name}-faults.csv", ["file", "line", "reason"], rows, byte_order_mark=False)


def _job_context(job: DatasetImport) -> dict[str, Any]:
    """Context of the live part of an import's page."""
    progress = job.progress
    current = progress.get("stage", "")
    parts = list(job.parts.all())
    if job.layout == DatasetImport.Layout.JOINED:
        skipped = FILE_STAGES
    else:
        skipped = frozenset({"joining"}) | (frozenset() if job.images or job.previous else PICTURE_STAGES)
    stages = [stage for stage in STAGES if stage[0] not in skipped]
    order = [name for name, _label in stages]
    position = order.index(current) if current in order else -1
    done = job.status == DatasetImport.Status.SUCCEEDED
    total, so_far = progress.get("total") or 0, progress.get("done") or 0
    return {
        "job": job,
        "parts": parts,
        "stages": [
            (label, "done" if done or number < position else "now" if number == position and job.is_active else "later")
            for number, (_name, label) in enumerate(stages)
        ],
        "share": round(100 * so_far / total) if total > 1 else None,
        "done": f"{so_far:,}",
        "total": f"{total:,}",
        "counted": total > 1 and current in ("pictures", "charts"),
        "per_s": progress.get("images_per_s"),
        "eta": _duration(progress.get("eta_s")),
        "ahead": max(queue_position(job) - 1, 0),
        "busy": lane_is_busy(job),
        "cancelling": job.is_active and job.cancel_requested is not None,
        "faults": job.faults[:PROBLEMS_ON_PAGE],
        "fault_count": len(job.faults),
        "files": [
            (label, _("uploaded") if source.startswith(UPLOAD) or source == "uploaded" else source)
            for label, source in ((_SOURCE_LABELS[field], getattr(job, field)) for field in SOURCES)
            if source
        ],
    }


def _duration(seconds: int | None) -> str:
    if not seconds:
        return ""
    if seconds < 60:
        return _("%(n)s s left") % {"n": seconds}
    return _("%(n)s min left") % {"n": round(seconds / 60)}
