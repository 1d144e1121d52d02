"""The page of an evaluation: figures with intervals, charts, subgroups, the hardest mistakes, downloads."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin
from django.core.files.storage import default_storage
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from diagnoses.photos.media import PRIVATE_HEADERS
from recognition.taxonomy import CODES, Diagnosis
from training.admin.jobs import STYLES, administrator
from training.charts import dark_twin
from training.evaluation.figures import calibration_errors, figure_of, figures_json, ground_truth_csv, predictions_csv
from training.models import Evaluation
from training.services.pictures import picture_of

POINTS: Final = {
    "balanced": gettext_lazy("balanced (best sum of sensitivity and specificity)"),
    "sensitive": gettext_lazy("sensitive (95 per cent of the cancers of the calibration split)"),
}
KINDS: Final = {"sex": gettext_lazy("Sex"), "age": gettext_lazy("Age"), "site": gettext_lazy("Site")}
DOWNLOADS: Final = {
    "predictions.csv": ("text/csv; charset=utf-8", predictions_csv),
    "ground-truth.csv": ("text/csv; charset=utf-8", ground_truth_csv),
    "figures.json": ("application/json", figures_json),
}
CHART_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin[Evaluation]):
    """Evaluations, newest first; they never change."""

    list_display = ["classifier", "dataset", "score", "melanoma", "malignant", "created"]
    list_select_related = ["classifier", "dataset"]
    list_filter = ["dataset"]

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("balanced accuracy"))
    def score(self, evaluation: Evaluation) -> str:
        return with_interval(evaluation.metrics.get("balanced_accuracy"))

    @admin.display(description=gettext_lazy("melanoma sensitivity"))
    def melanoma(self, evaluation: Evaluation) -> str:
        return with_interval(evaluation.metrics.get("per_diagnosis", {}).get("MEL", {}).get("sensitivity"))

    @admin.display(description=gettext_lazy("malignant AUC"))
    def malignant(self, evaluation: Evaluation) -> str:
        return with_interval(evaluation.metrics.get("malignant_auc"))

    def get_queryset(self, request: HttpRequest) -> Any:
        heavy = ("predictions", "classifier__manifest", "dataset__eda", "dataset__report")
        return super().get_queryset(request).defer(*heavy).order_by(F("created").desc())

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_urls(self) -> list[URLPattern]:
        def own(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("<int:pk>/download/<str:name>", own(self.download_view), name="training_evaluation_download"),
            path("<int:pk>/charts/<slug:key>.<str:kind>", own(self.chart_view), name="training_evaluation_chart"),
            path("<int:pk>/images/<str:image>/", own(self.image_view), name="training_evaluation_image"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one evaluation."""
        administrator(request)
        evaluation = _evaluation(object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("%(classifier)s on %(dataset)s")
            % {"classifier": evaluation.classifier, "dataset": evaluation.dataset},
            "media": self.media,
            "evaluation": evaluation,
            "run": getattr(evaluation.classifier, "run", None),
            **figures_context(evaluation),
        }
        return TemplateResponse(request, "admin/training/evaluation/page.html", context)

    def download_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """The predictions and the truth in the ISIC format, or every figure as JSON."""
        administrator(request)
        if name not in DOWNLOADS:
            raise Http404
        content_type, export = DOWNLOADS[name]
        evaluation = _evaluation(str(pk))
        response = HttpResponse(export(evaluation), content_type=content_type)
        filename = f"{evaluation.classifier.version}-{evaluation.dataset.name}-{name}"
        response["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
        response["Cache-Control"] = "private, no-store"
        return response

    def chart_view(self, request: HttpRequest, pk: int, key: str, kind: str) -> HttpResponse:
        """One stored chart as SVG or PNG."""
        administrator(request)
        name = _evaluation(str(pk)).metrics.get("charts", {}).get(key, {}).get(kind)
        if kind not in CHART_TYPES or name is None:
            raise Http404
        try:
            with default_storage.open(name, "rb") as file:
                content = file.read()
        except FileNotFoundError as error:
            raise Http404 from error
        if kind == "svg" and request.GET.get("theme") == "dark":
            content = dark_twin(content.decode()).encode()
        response = HttpResponse(content, content_type=CHART_TYPES[kind])
        if "download" in request.GET:
            response["Content-Disposition"] = content_disposition_header(True, f"{key}.{kind}") or "attachment"
        response["Cache-Control"] = "private, max-age=3600"
        return response

    def image_view(self, request: HttpRequest, pk: int, image: str) -> HttpResponse:
        """One test image of the evaluation. It may show a patient: only administrators see it, no cache keeps it."""
        administrator(request)
        evaluation = _evaluation(str(pk))
        if image not in evaluation.predictions:
            raise Http404
        found = picture_of(evaluation.dataset, image)
        if found is None:
            raise Http404
        content, content_type = found
        return HttpResponse(content, content_type=content_type, headers=PRIVATE_HEADERS)


def figures_context(evaluation: Evaluation) -> dict[str, Any]:
    """Context: the figures of an evaluation as text, for its page and for the model card."""
    metrics = evaluation.metrics
    rows = []
    for diagnosis in Diagnosis:
        found = metrics["per_diagnosis"][diagnosis.value]
        rows.append(
            {
                "code": diagnosis.value,
                "name": _(diagnosis.full_name),
                "pictures": found["pictures"],
                **{key: with_interval(found[key]) for key in ("sensitivity", "specificity", "precision", "auc")},
                "auc80": with_interval(figure_of(found["auc_above_80_sensitivity"])),
            }
        )
    confusion = [
        (code, [(count, called == truth) for called, count in enumerate(row)], sum(row))
        for truth, (code, row) in enumerate(zip(CODES, metrics["confusion"], strict=True))
    ]
    error = calibration_errors(metrics)
    return {
        "pictures": metrics["pictures"],
        "headline": [
            (
                _("Balanced accuracy"),
                with_interval(metrics["balanced_accuracy"]),
                _("the ISIC 2019 metric; 0.125 is chance"),
            ),
            (
                _("Accuracy"),
                with_interval(metrics["accuracy"]),
                _("always %(code)s would reach %(share)s")
                % {"code": metrics["majority_diagnosis"], "share": plain(metrics["majority_baseline"])},
            ),
            (
                _("Melanoma sensitivity"),
                with_interval(metrics["per_diagnosis"]["MEL"]["sensitivity"]),
                _("melanomas whose most probable diagnosis is melanoma"),
            ),
            (_("Malignant AUC"), with_interval(metrics["malignant_auc"]), _("MEL, BCC or SCC against the rest")),
            (
                _("Calibration error"),
                with_interval(figure_of(error["after"])),
                _("%(before)s before temperature scaling") % {"before": with_interval(figure_of(error["before"]))},
            ),
        ],
        "independent": metrics.get("sealed_before_training", False),
        "exposure": contamination_said(metrics.get("exposure") or {}),
        "rows": rows,
        "points": [
            (
                POINTS.get(name, name),
                point["threshold"],
                *(with_interval(point[rate]) for rate in ("sensitivity", "specificity")),
            )
            for name, point in metrics["operating_points"].items()
        ],
        "codes": CODES,
        "confusion": confusion,
        "subgroups": _subgroups(metrics.get("subgroups", [])),
        "point_names": [POINTS.get(name, name) for name in metrics["operating_points"]],
        "charts": [{"key": key, **chart} for key, chart in metrics.get("charts", {}).items()],
        "hardest": metrics.get("hardest", []),
    }


def contamination_said(contamination: Mapping[str, Any]) -> str:
    """A sentence: whether a classifier may have learned from these test images (from `Contamination.as_json`)."""
    if contamination.get("kept"):
        return _("None of these test images was used to train it.")
    if contamination.get("seen"):
        return _(
            "%(by)s learned from %(seen)s of these %(pictures)s test images, or from another picture of the same "
            "lesion: the figures flatter it."
        ) % {"by": contamination["by"], "seen": contamination["seen"], "pictures": contamination["pictures"]}
    if contamination.get("by"):
        return _(
            "What %(by)s was trained on is not registered here: it may have learned from some of these test images, "
            "and the figures may flatter it."
        ) % {"by": contamination["by"]}
    return _(
        "It, or a classifier it continues, was trained on another split, perhaps on some of these test images: the "
        "figures may flatter it."
    )


def _subgroups(entries: list[dict[str, Any]]) -> list[tuple[Any, str, int, int, list[str]]]:
    few = _("too few to say")
    shown = []
    for entry in entries:
        if not entry["pictures"]:
            continue
        balanced = entry.get("balanced_accuracy")
        cells = [
            _("%(value)s; everybody %(everybody)s (%(diagnoses)s)")
            % {
                "value": with_interval(balanced),
                "everybody": plain(entry["everybody"]),
                "diagnoses": ", ".join(entry["diagnoses"]),
            }
            if balanced
            else few
        ]
        for point in entry["operating_points"].values():
            cells += [with_interval(point[rate]) if point[rate] else few for rate in ("sensitivity", "specificity")]
        shown.append((KINDS[entry["kind"]], _(entry["name"]), entry["pictures"], entry["malignant"], cells))
    return shown


def with_interval(figure: dict[str, float | None] | None) -> str:
    """ "0.512 (0.471–0.553)", or a dash if there is no value."""
    if not figure or figure.get("value") is None:
        return "–"
    if figure.get("low") is None or figure.get("high") is None:
        return plain(figure["value"])
    return f"{plain(figure['value'])} ({plain(figure['low'])}–{plain(figure['high'])})"


def plain(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def _evaluation(text: str) -> Evaluation:
    if not text.isdecimal():
        raise Http404
    rows = Evaluation.objects.select_related("classifier", "dataset").defer("dataset__eda", "dataset__report")
    return get_object_or_404(rows, pk=int(text))
