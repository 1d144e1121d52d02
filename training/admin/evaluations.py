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
from django.utils.html import format_html_join
from django.utils.http import content_disposition_header
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from diagnoses.labels import IMAGE_TYPE_NAMES
from diagnoses.photos.media import PRIVATE_HEADERS
from training.admin.evaluation_figures import FILES, kinds_context, with_interval
from training.admin.jobs import STYLES, administrator
from training.charts import dark_twin
from training.evaluation.figures import (
    SLUGS,
    balanced_csv,
    blocks_of,
    figures_json,
    ground_truth_csv,
    predictions_csv,
    refused_pictures,
)
from training.models import Evaluation
from training.services.openings import figures_open, said_of_openings
from training.services.pictures import picture_of

DOWNLOADS: Final = dict(zip(FILES, (predictions_csv, balanced_csv, ground_truth_csv), strict=True))
"""What writes the files of a kind of picture: "dermoscopic-predictions.csv" and so on."""

FIGURES_FILE: Final = "figures.json"
CHART_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin[Evaluation]):
    """Evaluations, newest first; they never change."""

    list_display = ["classifier", "dataset", "figures", "created"]
    list_select_related = ["classifier", "dataset"]
    list_filter = ["dataset"]

    class Media:
        css = STYLES

    @admin.display(description=gettext_lazy("figures"))
    def figures(self, evaluation: Evaluation) -> str:
        """The main figures of each kind of picture, one line each."""
        lines = [(line,) for line in main_lines(evaluation)]
        return format_html_join(mark_safe("<br>"), "{}", lines) or _("closed")

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
            **page_context(evaluation),
        }
        return TemplateResponse(request, "admin/training/evaluation/page.html", context)

    def download_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """The predictions and the truth of a kind of picture in the ISIC format, or every figure as JSON."""
        administrator(request)
        evaluation = _open_evaluation(pk)
        if name == FIGURES_FILE:
            response = HttpResponse(figures_json(evaluation), content_type="application/json")
        else:
            slug = next((each for each in SLUGS.values() if name.startswith(f"{each}-")), "")
            export = DOWNLOADS.get(name.removeprefix(f"{slug}-").removesuffix(".csv"))
            if not slug or export is None or not evaluation.has_decisions:
                raise Http404
            image_type = next(each for each, word in SLUGS.items() if word == slug)
            response = HttpResponse(export(evaluation, image_type), content_type="text/csv; charset=utf-8")
        filename = f"{evaluation.classifier.version}-{evaluation.dataset.name}-{name}"
        response["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
        response["Cache-Control"] = "private, no-store"
        return response

    def chart_view(self, request: HttpRequest, pk: int, key: str, kind: str) -> HttpResponse:
        """One stored chart as SVG or PNG."""
        administrator(request)
        name = _open_evaluation(pk).metrics.get("charts", {}).get(key, {}).get(kind)
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
        evaluation = _open_evaluation(pk)
        if image not in evaluation.predictions:
            raise Http404
        found = picture_of(evaluation.dataset, image)
        if found is None:
            raise Http404
        content, content_type = found
        return HttpResponse(content, content_type=content_type, headers=PRIVATE_HEADERS)


def page_context(evaluation: Evaluation) -> dict[str, Any]:
    """Context of the page of an evaluation. While the figures are closed it holds none of them."""
    metrics = evaluation.metrics
    is_open = figures_open(evaluation)
    return {
        "pictures": metrics["pictures"],
        "independent": metrics.get("sealed_before_training", False),
        "exposure": contamination_said(metrics.get("exposure") or {}),
        "is_open": is_open,
        "said_of_openings": said_of_openings(evaluation.fingerprint),
        "is_old": not evaluation.has_decisions,
        "kinds": kinds_context(evaluation) if is_open else [],
        "refused": [
            (IMAGE_TYPE_NAMES[image_type], pictures) for image_type, pictures in refused_pictures(metrics).items()
        ],
        "figures_file": FIGURES_FILE,
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


def main_lines(evaluation: Evaluation) -> list[str]:
    """The main figures of each kind of picture as text; none while they are closed, or from before there were kinds."""
    if not figures_open(evaluation):
        return []
    said = _(
        "%(kind)s: balanced accuracy %(balanced)s, malignant AUC %(auc)s, melanomas told to see a doctor %(melanoma)s"
    )
    return [
        said
        % {
            "kind": IMAGE_TYPE_NAMES[image_type],
            "balanced": with_interval(block["balanced_accuracy"]),
            "auc": with_interval(block["malignant_auc"]),
            "melanoma": with_interval(block["advice"]["soon"]["melanoma_sensitivity"]),
        }
        for image_type, block in blocks_of(evaluation.metrics).items()
    ]


def _open_evaluation(pk: int) -> Evaluation:
    """The evaluation, if its figures are open: nothing else of it is given away."""
    evaluation = _evaluation(str(pk))
    if not figures_open(evaluation):
        raise Http404
    return evaluation


def _evaluation(text: str) -> Evaluation:
    if not text.isdecimal():
        raise Http404
    rows = Evaluation.objects.select_related("classifier", "dataset").defer("dataset__eda", "dataset__report")
    return get_object_or_404(rows, pk=int(text))
