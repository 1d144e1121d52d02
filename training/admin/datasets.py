"""Pages of data sets and imports: import, watch, read the figures, make a new version, delete."""

from typing import Any, Final

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.csv_rows import csv_response
from recognition.taxonomy import Diagnosis
from training.admin.exploration import chart_response, shown_cell, shown_sections, table_response
from training.admin.jobs import JobAdmin, administrator
from training.forms.imports import ImportForm, JoinForm, NewVersionForm
from training.models import Dataset, DatasetImport, Example
from training.services.datasets import DatasetInUse, delete_dataset
from training.services.imports import SOURCES, UPLOAD
from training.services.jobs import lane_is_busy, queue_position, request_cancel

STYLES: Final = {"all": ["css/admin-data.css"]}
PROBLEMS_ON_PAGE: Final = 200
MOVED_ON_PAGE: Final = 100

STAGES: Final = (
    ("tables", gettext_lazy("Read the tables")),
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


@admin.register(Dataset)
class DatasetAdmin(admin.ModelAdmin[Dataset]):
    list_display = ["name", "images", "kind", "figures", "previous", "created"]
    list_select_related = ["previous"]
    search_fields = ["name"]
    change_list_template = "admin/training/dataset/list.html"

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("images"), ordering="example_count")
    def images(self, dataset: Dataset) -> str:
        return f"{dataset.example_count:,}"

    @admin.display(description=gettext_lazy("holds"), ordering="has_images")
    def kind(self, dataset: Dataset) -> str:
        return _("images and tables") if dataset.has_images else _("tables only")

    @admin.display(description=gettext_lazy("figures"))
    def figures(self, dataset: Dataset) -> SafeString:
        address = reverse("admin:training_dataset_change", args=[dataset.pk])
        return format_html('<a href="{}#figures">{}</a>', address, _("Explore"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A data set is made by an import, never by a form with its fields.
        return False

    def has_change_permission(self, request: HttpRequest, obj: Dataset | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<int:pk>/charts/<slug:key>.<str:kind>", self._view(self.chart_view), name="training_dataset_chart"),
            path("<int:pk>/figures.json", self._view(self.figures_view), name="training_dataset_figures"),
            path("<int:pk>/split.csv", self._view(self.split_view), name="training_dataset_split"),
            path("<int:pk>/new-version/", self._view(require_POST(self.version_view)), name="training_dataset_version"),
        ]
        return [*own, *super().get_urls()]

    def _view(self, view: Any) -> Any:
        return self.admin_site.admin_view(view)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a data set: nothing on it can be edited."""
        administrator(request)
        dataset = get_object_or_404(Dataset.objects.select_related("previous", "created_by"), pk=_number(object_id))
        return self._page(request, dataset, NewVersionForm(initial={"name": _next_name(dataset.name)}))

    def _page(self, request: HttpRequest, dataset: Dataset, form: NewVersionForm, status: int = 200) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": dataset.name,
            "subtitle": None,
            "dataset": dataset,
            "media": self.media,
            "form": form,
            "sections": shown_sections(dataset),
            "has_delete_permission": self.has_delete_permission(request, dataset),
            "made_by": DatasetImport.objects.filter(dataset=dataset).first(),
            "versions": dataset.versions.all(),
            **_split_context(dataset),
            **_report_context(dataset),
        }
        return TemplateResponse(request, "admin/training/dataset/page.html", context, status=status)

    def chart_view(self, request: HttpRequest, pk: int, key: str, kind: str) -> HttpResponseBase:
        """One chart as SVG or PNG, or its table as CSV."""
        administrator(request)
        dataset = get_object_or_404(Dataset, pk=pk)
        if kind == "csv":
            return table_response(dataset, key)
        if kind not in ("svg", "png"):
            raise Http404
        response: HttpResponseBase = chart_response(
            dataset, key, kind, dark=request.GET.get("theme") == "dark", download="download" in request.GET
        )
        return response

    def figures_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Every stored figure as JSON."""
        administrator(request)
        dataset = get_object_or_404(Dataset, pk=pk)
        eda = {key: value for key, value in (dataset.eda or {}).items() if key != "charts"}
        return JsonResponse({"dataset": dataset.name, "report": dataset.report, "eda": eda})

    def split_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The split of each image, as CSV; the split fingerprint is computed from these lines."""
        administrator(request)
        dataset = get_object_or_404(Dataset, pk=pk)
        columns = ["image", "diagnosis", "lesion_id", "split"]
        rows = dataset.examples.order_by("image").values_list(*columns)
        return csv_response(f"{dataset.name}-split.csv", columns, rows, byte_order_mark=False)

    def version_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Queue a new version with the confirmed photos of consenting patients."""
        user = administrator(request)
        dataset = get_object_or_404(Dataset, pk=pk)
        form = NewVersionForm(request.POST)
        job = form.request(dataset, by=user) if form.is_valid() else None
        if job is None:
            return self._page(request, dataset, form, status=422)
        return HttpResponseRedirect(reverse("admin:training_datasetimport_change", args=[job.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # A list of 25,000 examples is no help, and Django would ask for permissions on a page that examples lack.
        listed = [
            _("%(name)s with its %(n)s images") % {"name": each.name, "n": f"{each.example_count:,}"} for each in objs
        ]
        return listed, {str(self.opts.verbose_name_plural): len(listed)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Dataset) -> None:
        delete_dataset(dataset=obj, by=administrator(request))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DatasetInUse as used:
            messages.error(request, _("It was not deleted: %(reason)s") % {"reason": used})
            return HttpResponseRedirect(reverse("admin:training_dataset_change", args=[object_id]))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # A data set is deleted from its page, which asks and explains.
        return {}


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
            DatasetImport.objects.select_related("dataset", "requested_by", "previous"), pk=_number(object_id)
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


def _number(text: str) -> int:
    if not text.isdecimal():
        raise Http404
    return int(text)


def _next_name(name: str) -> str:
    """A free name for a new version: after "isic2019" comes "isic2019 v2"."""
    stem, _marker, number = name.rpartition(" v")
    base, version = (stem, int(number)) if stem and number.isdecimal() else (name, 1)
    taken = set(Dataset.objects.filter(name__startswith=base).values_list("name", flat=True))
    while f"{base} v{version + 1}" in taken:
        version += 1
    return f"{base} v{version + 1}"


def _split_context(dataset: Dataset) -> dict[str, Any]:
    """Context: the counts by diagnosis and split, and the leakage."""
    split = dataset.report.get("split", {})
    counts = split.get("counts", {})
    names = list(Example.Split)
    rows = []
    totals = dict.fromkeys(names, 0)
    for diagnosis in Diagnosis:
        per_split = [counts.get(diagnosis.value, {}).get(name.value, 0) for name in names]
        if not any(per_split):
            continue
        for name, number in zip(names, per_split, strict=True):
            totals[name] += number
        rows.append((diagnosis, [f"{number:,}" for number in per_split], f"{sum(per_split):,}"))
    whole = sum(totals.values()) or 1
    leakage = split.get("leakage", {})
    random, ours = leakage.get("random"), leakage.get("ours", {})
    return {
        "split_names": [name.label for name in names],
        "split_rows": rows,
        "split_totals": [(f"{number:,}", shown_cell(number / whole, "share")) for number in totals.values()],
        "split_total": f"{sum(totals.values()):,}",
        "none_of_the_eight": dataset.example_count - sum(totals.values()) if counts else 0,
        "lesions": split.get("lesions"),
        "random_leak": random and shown_cell(random["mean"], "share"),
        "random_low": random and shown_cell(random["low"], "share"),
        "random_high": random and shown_cell(random["high"], "share"),
        "random_draws": random and random["draws"],
        "our_leak": sum(ours.values()) if ours else None,
    }


def _report_context(dataset: Dataset) -> dict[str, Any]:
    report = dataset.report
    notes = report.get("notes", {})
    gathered = report.get("split", {}).get("near_together")
    return {
        "sources": [name for name in report.get("sources", {}).values() if name],
        "layout": dict(DatasetImport.Layout.choices).get(report.get("layout", ""), ""),
        "notes": notes,
        "left_out": list(notes.get("left_out", {}).items()),
        "left_out_count": sum(notes.get("left_out", {}).values()),
        "image_types": list(notes.get("image_types", {}).items()),
        "image_manipulation": list(notes.get("image_manipulation", {}).items()),
        "duplicates": report.get("duplicates"),
        "gathered": gathered,
        "moved": sorted((gathered or {}).get("moved", {}).items())[:MOVED_ON_PAGE],
        "added": report.get("added"),
    }


def _job_context(job: DatasetImport) -> dict[str, Any]:
    """Context of the live part of an import's page."""
    progress = job.progress
    current = progress.get("stage", "")
    parts = list(job.parts.all())
    pictures = job.images or job.previous or any(part.has_images for part in parts)
    stages = [stage for stage in STAGES if pictures or stage[0] not in PICTURE_STAGES]
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
