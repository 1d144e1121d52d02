"""Pages of data sets: read the figures, make a new version, delete."""

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Count, Q
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
from training.admin.jobs import administrator
from training.forms.imports import NewVersionForm
from training.models import Dataset, DatasetImport, Example
from training.services.datasets import DatasetInUse, delete_dataset, disk_use, joined_from

STYLES: Final = {"all": ["css/admin-data.css"]}
MOVED_ON_PAGE: Final = 100


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
        dataset = get_object_or_404(Dataset.objects.select_related("previous", "created_by"), pk=number(object_id))
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
            "joined_from_this": joined_from(dataset),
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


def number(text: str) -> int:
    """The key in an address. Raises Http404 if it is no number."""
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
        "joined": report.get("joined"),
        "joined_left_out": list(report.get("joined", {}).get("left_out", {}).items()),
        "moved_sides": list(report.get("joined", {}).get("moved", {}).items()),
        "disk": disk_use(dataset),
        **dataset.examples.aggregate(
            none_of_the_eight=Count("pk", filter=Q(diagnosis="")),
            without_image=Count("pk", filter=Q(sha256="")),
        ),
    }
