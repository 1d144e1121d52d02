"""Photos with history and predictions, and known images, in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import LongListAdmin
from accounts.models import User
from diagnoses.labels import GATE_NAMES
from diagnoses.photos.models import KnownImage, Photo, PhotoAssessment, PhotoHistory, Prediction
from diagnoses.photos.services import view_photo


def _thumbnail(photo: Photo) -> SafeString:
    address = reverse("photo-thumbnail", args=[photo.pk])
    return format_html('<img src="{}" width="80" height="60" loading="lazy" alt="">', address)


class HistoryInline(admin.StackedInline[PhotoHistory, Photo]):
    """The reported histories of a photo, newest first, with their checklist scores."""

    model = PhotoHistory
    fk_name = "photo"
    extra = 0
    fields = [
        "created", "duration", "change_size", "change_shape", "change_colour", "raised", "diameter_7mm", "inflamed",
        "bleeding", "itch", "pain", "note", "score",
    ]  # fmt: skip
    readonly_fields = ["created", "score"]

    def has_add_permission(self, request: HttpRequest, obj: Photo | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Photo | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Photo | None = None) -> bool:
        return False

    @admin.display(description=_("7-point checklist"))
    def score(self, history: PhotoHistory) -> int:
        return history.checklist_score


@admin.register(Photo)
class PhotoAdmin(LongListAdmin[Photo]):
    """Photos and the state of their analysis. Opening one is audited."""

    list_display = [
        "small", "id", "owner", "created", "status", "decision", "diagnosis", "confidence", "review_state",
        "failure_code", "image_type",
    ]  # fmt: skip
    list_display_links = ["id"]
    list_filter = [
        "status", "decision", "diagnosis", "review_state", "image_type", "failure_code", "original_format", "created",
    ]  # fmt: skip
    list_select_related = ["owner"]
    search_fields = ["id__exact", "owner__email"]
    search_help_text = _("A photo's id, or the owner's e-mail address.")
    ordering = ["-created", "-id"]
    fields = [
        "small", "id", "owner", "lesion", "created", "shown_name", "width", "height", "original_format", "sha256",
        "original_sha256", "recognised_as", "age_approx", "sex", "anatom_site_general", "image_type", "status",
        "queued", "published", "attempts", "lease_expires", "failure_code", "assessment", "diagnosis", "confidence",
        "malignant_score", "decision", "priority", "review_state", "second_reason", "review_requested", "review_closed",
    ]  # fmt: skip
    # Generated columns cannot be form fields.
    readonly_fields = ["small", "priority"]
    inlines = [HistoryInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        return super().get_queryset(request).defer("content_hash")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        photo = self.get_object(request, unquote(object_id))
        if photo is not None and isinstance(request.user, User):
            view_photo(photo=photo, by=request.user)
        return response

    @admin.display(description=_("photo"))
    def small(self, photo: Photo) -> SafeString:
        return _thumbnail(photo)


@admin.register(Prediction)
class PredictionAdmin(LongListAdmin[Prediction]):
    """Predictions, read only. A database trigger also refuses changes."""

    list_display = ["id", "photo_id", "classifier", "runtime", "duration_ms", "created"]
    list_filter = ["classifier", "runtime", "created"]
    list_select_related = ["classifier"]
    search_fields = ["id__exact", "photo__id__exact", "photo__owner__email"]
    search_help_text = _("A prediction's or photo's id, or the owner's e-mail address.")
    fields = ["id", "photo", "classifier", "runtime", "duration_ms", "created"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return super().get_queryset(request).defer("classifier__manifest")


@admin.register(PhotoAssessment)
class PhotoAssessmentAdmin(LongListAdmin[PhotoAssessment]):
    """Assessments, read only. A database trigger also refuses changes."""

    list_display = [
        "id", "photo_id", "classifier", "image_type", "diagnosis", "confidence", "malignant_score", "decision", "score",
        "created",
    ]  # fmt: skip
    list_filter = ["image_type", "image_type_source", "diagnosis", "decision", "prediction__classifier", "created"]
    list_select_related = ["prediction__classifier"]
    search_fields = ["id__exact", "photo__id__exact", "photo__owner__email"]
    search_help_text = _("An assessment's or photo's id, or the owner's e-mail address.")
    fields = [
        "id", "photo", "prediction", "image_type", "image_type_source", "contradicted", "case_mix", "diagnosis",
        "confidence", "malignant_score", "all_probabilities", "by_the_picture_alone", "decision", "picture_decision",
        "score", "gates", "metadata", "used", "created",
    ]  # fmt: skip
    readonly_fields = ["all_probabilities", "by_the_picture_alone", "gates"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhotoAssessment]:
        return super().get_queryset(request).defer("prediction__classifier__manifest")

    @admin.display(description=_("classifier"))
    def classifier(self, assessment: PhotoAssessment) -> str:
        return assessment.prediction.classifier.version

    @admin.display(description=_("probabilities"))
    def all_probabilities(self, assessment: PhotoAssessment) -> str:
        return _listed(assessment.by_code)

    @admin.display(description=_("probabilities by the picture alone"))
    def by_the_picture_alone(self, assessment: PhotoAssessment) -> str:
        return _listed(assessment.picture_alone_by_code or {})

    @admin.display(description=_("checks of the picture"))
    def gates(self, assessment: PhotoAssessment) -> str:
        """The result of each gate. Empty for assessments from before there were gates."""
        results = assessment.assessed.gates if assessment.assessed is not None else ()
        return ", ".join(f"{GATE_NAMES[result.gate]}: {result.code or '✓'}" for result in results) or "–"


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{code} {share:.3f}" for code, share in shares.items()) or "–"


@admin.register(KnownImage)
class KnownImageAdmin(LongListAdmin[KnownImage]):
    """Data-set images that are recognised on upload."""

    list_display = ["image", "dataset", "diagnosis"]
    list_filter = ["dataset", "diagnosis"]
    search_fields = ["image", "original_sha256__exact"]
    fields = ["dataset", "image", "diagnosis", "lesion", "original_sha256"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[KnownImage]:
        return super().get_queryset(request).defer("content_hash")
