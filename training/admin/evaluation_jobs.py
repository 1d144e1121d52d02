"""Pages of evaluation jobs: watch one, cancel it. When it ends, it leads to the page of its evaluation."""

from typing import Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from training.admin.jobs import FAILURES, STYLES, JobAdmin, administrator, live_context
from training.models import EvaluationJob, Job
from training.services.jobs import lane_is_busy, request_cancel

STAGES: Final = {
    "evaluate": gettext_lazy("Asking the classifier about every test image"),
    "figures": gettext_lazy("Computing the figures and their intervals"),
    "charts": gettext_lazy("Drawing the charts"),
}


@admin.register(EvaluationJob)
class EvaluationJobAdmin(JobAdmin[EvaluationJob]):
    """Evaluation jobs, newest first. They are requested on the page of a classifier."""

    list_display = ["__str__", "status", "stage", "evaluation_score", "requested_by", "created"]
    list_filter = ["status"]
    list_select_related = ["classifier", "dataset", "requested_by"]
    adds = False

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("stage"))
    def stage(self, job: EvaluationJob) -> str:
        if job.status == Job.Status.FAILED:
            return str(FAILURES.get(job.failure_code, job.failure_code))
        return str(STAGES.get(job.progress.get("stage", ""), _("waiting"))) if job.is_active else "–"

    @admin.display(description=gettext_lazy("evaluation"), boolean=True)
    def evaluation_score(self, job: EvaluationJob) -> bool:
        return job.evaluation_id is not None

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("log", "classifier__manifest", "dataset__eda", "dataset__report")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own("progress/", self.progress_view, "progress"),
            self.own("cancel/", require_POST(self.cancel_view), "cancel"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one job, live while it runs."""
        administrator(request)
        if not object_id.isdecimal():
            raise Http404
        job = _job(int(object_id))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Measuring %(classifier)s on %(dataset)s")
            % {"classifier": job.classifier, "dataset": job.dataset},
            "media": self.media,
            **_context(job),
        }
        return TemplateResponse(request, "admin/training/evaluationjob/page.html", context)

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes. When there is a result, htmx goes to the page of the evaluation."""
        administrator(request)
        job = _job(pk)
        response = TemplateResponse(request, "admin/training/evaluationjob/progress.html", _context(job))
        if job.evaluation_id is not None:
            response["HX-Redirect"] = reverse("admin:training_evaluation_change", args=[job.evaluation_id])
        return response

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the evaluation to end."""
        user = administrator(request)
        return self.back(
            request,
            pk,
            done=request_cancel(_job(pk), by=user),
            said=_("The evaluation stops after the images at hand; nothing of it is kept."),
            otherwise=_("The evaluation had ended already."),
        )


def _job(pk: int) -> EvaluationJob:
    rows = EvaluationJob.objects.select_related("classifier", "dataset", "requested_by")
    found: EvaluationJob = get_object_or_404(rows.defer("dataset__eda", "dataset__report"), pk=pk)
    return found


def _context(job: EvaluationJob) -> dict[str, Any]:
    """Context of the part of the page that changes."""
    return live_context(job, STAGES) | {"job": job, "busy": lane_is_busy(job)}
