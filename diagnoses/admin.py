"""Own how administrators see photos, predictions, findings, classifiers and workers.

Almost all of it is read-only: what happened happened, and what may be changed is changed by a service. Pictures appear
only as thumbnails through the private media views, which ask who is asking. A look at a photo is audited here as well.
"""

from typing import Any, Final, TypeVar

from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from diagnoses.inference.bundle import BundleError
from diagnoses.models import (
    Classifier,
    ClassifierAlarm,
    FeatureIndex,
    Finding,
    KnownImage,
    Lesion,
    Photo,
    Prediction,
    Worker,
)
from diagnoses.services import ClassifierError, promote_classifier, view_photo

M = TypeVar("M", bound=Model)

ROWS: Final = 50  # a page of thumbnails that still loads quickly

# A token is a key to an account and an authenticator is its second factor: not for looking at, adding or handing out.
admin.site.unregister([AuthToken, Authenticator])
# Roles decide here; Django's groups would look as if they did.
admin.site.unregister(Group)


class LongListAdmin(ReadOnlyAdmin[M]):
    """Rows to look at, of a table too long to count for every page."""

    list_per_page = ROWS
    show_full_result_count = False


def _thumbnail(photo: Photo) -> SafeString:
    address = reverse("photo-thumbnail", args=[photo.pk])
    return format_html('<img src="{}" width="80" height="60" loading="lazy" alt="">', address)


@admin.register(Photo)
class PhotoAdmin(LongListAdmin[Photo]):
    """Photos and the state of their analysis. Opening one is a look at a patient's photo, and audited."""

    list_display = ["small", "id", "owner", "created", "status", "diagnosis", "confidence", "attempts", "failure_code"]
    list_display_links = ["id"]
    list_filter = ["status", "diagnosis", "failure_code", "original_format", "created"]
    list_select_related = ["owner"]
    search_fields = ["id__exact", "owner__email"]
    search_help_text = _("A photo's id, or the owner's e-mail address.")
    ordering = ["-created", "-id"]
    fields = [
        "small", "id", "owner", "lesion", "created", "shown_name", "width", "height", "original_format", "sha256",
        "original_sha256", "recognised_as", "age_approx", "sex", "anatom_site_general", "status", "queued", "published",
        "attempts", "lease_expires", "failure_code", "prediction", "diagnosis", "confidence", "malignant_score",
    ]  # fmt: skip
    readonly_fields = ["small"]

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
    """What classifiers said; immutable, by a database trigger too."""

    list_display = ["id", "photo_id", "classifier", "diagnosis", "confidence", "malignant_score", "runtime", "created"]
    list_filter = ["diagnosis", "classifier", "runtime", "created"]
    list_select_related = ["classifier"]
    search_fields = ["id__exact", "photo__id__exact", "photo__owner__email"]
    search_help_text = _("A prediction's or photo's id, or the owner's e-mail address.")
    fields = [
        "id", "photo", "classifier", "diagnosis", "confidence", "malignant_score", "all_probabilities", "runtime",
        "duration_ms", "created",
    ]  # fmt: skip
    readonly_fields = ["all_probabilities"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return super().get_queryset(request).defer("classifier__manifest")

    @admin.display(description=_("probabilities"))
    def all_probabilities(self, prediction: Prediction) -> str:
        return ", ".join(f"{code} {share:.3f}" for code, share in prediction.by_code.items())


@admin.register(Finding)
class FindingAdmin(LongListAdmin[Finding]):
    """What clinicians and pathologists said; append-only, by a database trigger too."""

    list_display = ["id", "photo_id", "diagnosis", "source", "recorded_by", "created"]
    list_filter = ["diagnosis", "source", "created"]
    list_select_related = ["recorded_by"]
    search_fields = ["photo__id__exact", "photo__owner__email", "recorded_by__email"]
    search_help_text = _("A photo's id, or the e-mail address of its owner or of who recorded the finding.")
    fields = ["id", "photo", "prediction", "diagnosis", "source", "note", "recorded_by", "created"]


@admin.register(Lesion)
class LesionAdmin(LongListAdmin[Lesion]):
    """The spots patients follow."""

    list_display = ["name", "owner", "anatom_site_general", "created"]
    list_filter = ["anatom_site_general", "created"]
    list_select_related = ["owner"]
    search_fields = ["id__exact", "owner__email"]
    search_help_text = _("A lesion's id, or the owner's e-mail address.")
    fields = ["id", "owner", "name", "anatom_site_general", "created"]


@admin.register(Classifier)
class ClassifierAdmin(LongListAdmin[Classifier]):
    """Sealed bundles and which one is live. The one thing to do here is to promote another."""

    list_display = ["version", "stage", "short_sha256", "is_whole", "created", "promoted"]
    list_filter = ["stage"]
    search_fields = ["version", "sha256"]
    fields = ["version", "stage", "sha256", "fault", "created", "promoted", "manifest"]
    actions = ["promote"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Classifier]:
        rows = super().get_queryset(request)
        # Large, and shown on the page of one classifier only.
        match = request.resolver_match
        return rows.defer("manifest") if match and match.url_name == "diagnoses_classifier_changelist" else rows

    @admin.display(description=_("SHA-256"))
    def short_sha256(self, classifier: Classifier) -> str:
        return f"{classifier.sha256[:12]}…"

    @admin.display(description=_("whole"), boolean=True)
    def is_whole(self, classifier: Classifier) -> bool:
        return not classifier.fault

    @admin.action(description=_("Promote: make it the live classifier"))
    def promote(self, request: HttpRequest, chosen: QuerySet[Classifier]) -> HttpResponse | None:
        """Ask first; the second time, with a reason, do it."""
        classifier = chosen.first()
        if classifier is None or chosen.count() != 1:
            self.message_user(request, gettext("Choose exactly one classifier to promote."), messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": gettext("Promote a classifier"),
                "opts": self.opts,
                "classifier": classifier,
                "live": Classifier.objects.live(),
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/diagnoses/classifier/promote.html", context)
        assert isinstance(request.user, User)  # the admin lets nobody else in
        try:
            promote_classifier(classifier=classifier, by=request.user, reason=request.POST.get("reason", "")[:500])
        except (BundleError, ClassifierError) as error:
            self.message_user(request, gettext("Not promoted. %(why)s") % {"why": error}, messages.ERROR)
        else:
            self.message_user(
                request,
                gettext("%(version)s is live. Workers load it before their next photo.") % {"version": classifier},
                messages.SUCCESS,
            )
        return None


@admin.register(KnownImage)
class KnownImageAdmin(LongListAdmin[KnownImage]):
    """Data-set images that are recognised when somebody uploads them."""

    list_display = ["image", "dataset", "diagnosis"]
    list_filter = ["dataset", "diagnosis"]
    search_fields = ["image", "original_sha256__exact"]
    fields = ["dataset", "image", "diagnosis", "lesion", "original_sha256"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[KnownImage]:
        return super().get_queryset(request).defer("content_hash")


@admin.register(Worker)
class WorkerAdmin(LongListAdmin[Worker]):
    """Inference workers and when they were last heard from."""

    list_display = ["name", "runtime", "classifier", "last_seen"]
    fields = ["name", "runtime", "classifier", "last_seen"]


@admin.register(FeatureIndex)
class FeatureIndexAdmin(LongListAdmin[FeatureIndex]):
    """How far the search for similar cases is, for each classifier that may be asked. The worker does the work."""

    list_display = ["classifier", "cases", "waiting", "updated"]
    list_select_related = ["classifier"]
    fields = ["classifier", "cases", "waiting", "median_similarity", "low_similarity", "updated"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureIndex]:
        return super().get_queryset(request).defer("classifier__manifest")


@admin.register(ClassifierAlarm)
class ClassifierAlarmAdmin(LongListAdmin[ClassifierAlarm]):
    """When a live classifier's answers were not those of one that works, and how long."""

    list_display = ["classifier", "code", "raised", "cleared"]
    list_filter = ["code", "raised"]
    list_select_related = ["classifier"]
    fields = ["classifier", "code", "detail", "raised", "cleared"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClassifierAlarm]:
        return super().get_queryset(request).defer("classifier__manifest")
