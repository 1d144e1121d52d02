"""Classifiers, workers and backups in the admin: the live one, promotion, alarms, drift, the index of cases."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import LongListAdmin
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import IMAGE_TYPE_NAMES
from diagnoses.monitoring.drift import Comparison, KindDrift, bars_of_mix, bars_of_scores, measure_drift
from diagnoses.monitoring.drift.measured import (
    ANSWERS_MAX,
    ANSWERS_MIN,
    INDEX_LARGE,
    LATELY,
    READINGS_MIN,
    VARIATION_LARGE,
)
from diagnoses.monitoring.models import BackupRecord, ClassifierAlarm
from diagnoses.photos.models import Worker
from diagnoses.similar.models import FeatureIndex


@admin.register(Classifier)
class ClassifierAdmin(LongListAdmin[Classifier]):
    """Registered classifiers and which one is live. `training` adds pages, gates and promotion."""

    list_display = ["version", "stage", "short_sha256", "is_whole", "created", "promoted"]
    list_filter = ["stage"]
    search_fields = ["version", "sha256"]
    fields = ["version", "stage", "sha256", "fault", "created", "promoted", "manifest"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Classifier]:
        rows = super().get_queryset(request)
        # Large, and shown only on the page of one classifier.
        match = request.resolver_match
        return rows.defer("manifest") if match and match.url_name == "diagnoses_classifier_changelist" else rows

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.drift_view)
        return [path("drift/", view, name="diagnoses_classifier_drift"), *super().get_urls()]

    def drift_view(self, request: HttpRequest) -> HttpResponse:
        """The drift page: charts of the answers of the live classifier, with the same figures as tables."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        live = Classifier.objects.live()
        drift = measure_drift(live) if live is not None else None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Drift of the live classifier"),
            "live": live,
            "drift": drift,
            "kinds": [] if drift is None else [_shown(kind) for kind in drift.kinds],
            "answers_min": ANSWERS_MIN,
            "answers_max": ANSWERS_MAX,
            "readings_min": READINGS_MIN,
            "index_large": INDEX_LARGE,
            "variation_large": VARIATION_LARGE,
            "days": LATELY.days,
        }
        return TemplateResponse(request, "admin/diagnoses/classifier/drift.html", context)

    @admin.display(description=_("SHA-256"))
    def short_sha256(self, classifier: Classifier) -> str:
        return f"{classifier.sha256[:12]}…"

    @admin.display(description=_("whole"), boolean=True)
    def is_whole(self, classifier: Classifier) -> bool:
        return not classifier.fault


def _shown(kind: KindDrift) -> dict[str, Any]:
    """What is shown of one kind of picture: its comparisons with their charts, and its readings."""
    comparisons = {"promotion": kind.promotion, "lately": kind.lately, "sealed": kind.sealed}
    return {
        "name": IMAGE_TYPE_NAMES[kind.image_type],
        "comparisons": [_compared(name, each) for name, each in comparisons.items() if each is not None],
        "readings": kind.readings,
    }


def _compared(name: str, comparison: Comparison) -> dict[str, Any]:
    """One comparison with its charts."""
    charts = [
        {"name": "scores", "chart": bars_of_scores(comparison)},
        {"name": "mix", "chart": bars_of_mix(comparison)},
    ]
    return {"name": name, "comparison": comparison, "charts": charts if comparison.is_enough else []}


@admin.register(FeatureIndex)
class FeatureIndexAdmin(LongListAdmin[FeatureIndex]):
    """The state of the index of similar cases for each classifier. The worker updates it."""

    list_display = ["classifier", "cases", "waiting", "updated"]
    list_select_related = ["classifier"]
    fields = ["classifier", "cases", "waiting", "median_similarity", "low_similarity", "updated"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureIndex]:
        return super().get_queryset(request).defer("classifier__manifest")


@admin.register(ClassifierAlarm)
class ClassifierAlarmAdmin(LongListAdmin[ClassifierAlarm]):
    """Alarms about degenerate output of the live classifier: when and how long."""

    list_display = ["classifier", "code", "raised", "cleared"]
    list_filter = ["code", "raised"]
    list_select_related = ["classifier"]
    fields = ["classifier", "code", "detail", "raised", "cleared"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClassifierAlarm]:
        return super().get_queryset(request).defer("classifier__manifest")


@admin.register(Worker)
class WorkerAdmin(LongListAdmin[Worker]):
    """Inference workers and when they were last heard from."""

    list_display = ["name", "runtime", "classifier", "last_seen"]
    fields = ["name", "runtime", "classifier", "last_seen"]


@admin.register(BackupRecord)
class BackupRecordAdmin(LongListAdmin[BackupRecord]):
    """Backups that were recorded by `manage.py record_backup`."""

    list_display = ["created", "shown_files", "note"]
    fields = ["created", "shown_files", "note"]
    readonly_fields = ["shown_files"]

    @admin.display(description=_("files"))
    def shown_files(self, record: BackupRecord) -> str:
        shown = [f"{file['name']} ({filesizeformat(file['size'])}, {file['sha256'][:12]}…)" for file in record.files]
        return ", ".join(shown) or "–"
