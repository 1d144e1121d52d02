"""The list of the user's photos, the page of one photo, its self-updating fragment, and the actions on it."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Language, User
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.classifiers.models import Classifier
from diagnoses.paging import Order, page_of
from diagnoses.photos.models import Photo
from diagnoses.photos.notifications import photo_opened
from diagnoses.photos.services import change_image_type, delete_photo, repredict_photo, retry_photo, view_photo
from diagnoses.photos.views import visible_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.forms import HistopathologyForm
from diagnoses.readings.models import Finding
from diagnoses.readings.rules import role_in
from diagnoses.readings.services import request_review
from diagnoses.results.forms import ImageTypeForm
from diagnoses.results.views.state import state_context

HISTORY: Final = Order("history", "created", "time")
# Not shown in a list, and larger than the rest of the row.
MANIFEST: Final = "assessment__prediction__classifier__manifest"
SIBLINGS_SHOWN = 6  # other photos of the same spot; one row of thumbnails


@require_safe
@signed_in
def photo_list(request: SignedInRequest) -> HttpResponse:
    """The user's own photos, newest first."""
    own = Photo.objects.visible_to(request.user).filter(owner=request.user).for_display().defer(MANIFEST)
    page = page_of(own, order=HISTORY, cursor=request.GET.get("cursor", ""))
    return render(request, "diagnoses/results/photo_list.html", {"page": page})


def _context(request: SignedInRequest, photo: Photo) -> dict[str, Any]:
    """The context of the photo's state, for its page and the fragment; see `state_context`."""
    reviews = request.user.sees_all_patients
    is_owner = photo.owner_id == request.user.pk
    return {
        **state_context(photo, for_clinician=reviews),
        "is_owner": is_owner,
        "reviews": reviews,
        "may_change": not photo.is_waiting and (is_owner or reviews),
        "image_type_form": ImageTypeForm(initial={"image_type": photo.image_type}),
        "may_read": _may_read(request.user, photo),
        "image_url": reverse("photo-image", args=[photo.pk]),
        "heatmap_url": reverse("photo-heatmap", args=[photo.pk]),
        "report_url": reverse("photo-report", args=[photo.pk]),
        "languages": Language.choices,
    }


def _may_read(user: User, photo: Photo) -> bool:
    """Whether the photo waits for a reader and this user may read it."""
    if not user.sees_all_patients or photo.owner_id == user.pk or not role_in(photo.review_state):
        return False
    return not photo.readings.recorded().filter(reader=user).exists()


@require_safe
@signed_in
def photo(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The page of a photo. Each view by anybody but the owner is audited."""
    shown = visible_photo(request, photo_id, for_display=True)
    view_photo(photo=shown, by=request.user)
    photo_opened(photo=shown, by=request.user)
    return render(request, "diagnoses/results/photo.html", _page(request, shown))


def _page(request: SignedInRequest, shown: Photo, form: HistopathologyForm | None = None) -> dict[str, Any]:
    context = _context(request, shown)
    if shown.lesion_id is not None:
        siblings = Photo.objects.visible_to(request.user).filter(lesion_id=shown.lesion_id).exclude(pk=shown.pk)
        context["siblings"] = list(siblings.order_by("-created", "-pk")[:SIBLINGS_SHOWN])
    context["findings"] = list(shown.findings.all())
    if request.user.sees_all_patients:
        context["histopathology_form"] = form or HistopathologyForm()
        assessments = list(
            shown.assessments.select_related("prediction__classifier").defer("prediction__classifier__manifest")
        )
        context["other_assessments"] = [each for each in assessments if each.pk != shown.assessment_id]
        live = Classifier.objects.live()
        asked = {each.prediction.classifier_id for each in assessments}
        if shown.status == Photo.Status.PREDICTED and live is not None and live.pk not in asked:
            context["unasked_classifier"] = live
    return context


@require_safe
@signed_in
def photo_status(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The fragment that updates while a photo waits. The page requests it, so it is not audited.

    If the photo was deleted, the fragment says so and stops the requests; after a 404 the page would repeat them for
    ever. Photos that the user may not see get the same response.
    """
    try:
        shown = visible_photo(request, photo_id, for_display=True)
    except Http404:
        if not request.htmx:
            raise
        return render(request, "diagnoses/results/partials/gone.html")
    if not request.htmx:
        return redirect("photo", photo_id=photo_id)
    if not shown.is_waiting:
        photo_opened(photo=shown, by=request.user)  # the owner sees the result on the page, so no e-mail is needed
    return render(request, "diagnoses/results/partials/state.html", {**_context(request, shown), "fragment": True})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def photo_delete(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Ask, then delete permanently. Only the owner may."""
    shown = visible_photo(request, photo_id, for_display=True)
    if shown.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person who uploaded a photo can delete it."))
    if request.method == "POST":
        delete_photo(photo=shown, by=request.user)
        messages.success(request, _("The photo and everything derived from it have been deleted."))
        return redirect("lesion", shown.lesion_id) if shown.lesion_id else redirect("lesion-list")
    return render(request, "diagnoses/results/photo_delete.html", {"photo": shown})


@require_POST
@signed_in
def photo_retry(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Queue a failed photo again."""
    retry_photo(photo=visible_photo(request, photo_id), by=request.user)
    return redirect("photo", photo_id=photo_id)


@require_POST
@signed_in
def photo_image_type(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Tell afterwards how the photo was taken, by its owner or a clinician; the photo is assessed again."""
    shown = visible_photo(request, photo_id)
    form = ImageTypeForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose how the photo was taken."))
    else:
        change_image_type(photo=shown, by=request.user, **form.cleaned_data)
        messages.success(request, _("It is noted how the photo was taken."))
    return redirect("photo", photo_id=photo_id)


@require_POST
@signed_in
def photo_repredict(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Queue the photo for the live classifier, by a clinician. 404 for patients."""
    shown = visible_photo(request, photo_id)
    if not request.user.sees_all_patients:
        raise Http404
    if not repredict_photo(photo=shown, by=request.user):
        messages.info(request, _("The live classifier has answered already, or none is live."))
    return redirect("photo", photo_id=photo_id)


@require_POST
@signed_in
def photo_finding(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Record the histopathology, by a clinician. 404 for patients.

    A clinician's own diagnosis is recorded as a reading, which is blind.
    """
    shown = visible_photo(request, photo_id, for_display=True)
    if not request.user.sees_all_patients:
        raise Http404
    form = HistopathologyForm(request.POST)
    if not form.is_valid():
        return render(request, "diagnoses/results/photo.html", _page(request, shown, form), status=422)
    record_finding(photo=shown, by=request.user, source=Finding.Source.HISTOPATHOLOGY, **form.cleaned_data)
    messages.success(request, _("The histopathology has been recorded, and the patient is told."))
    return redirect(reverse("photo", args=[photo_id]) + "#findings")


@require_POST
@signed_in
def photo_request_review(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The patient asks clinicians to read the photo. Repeating it has no effect."""
    shown = visible_photo(request, photo_id)
    if shown.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person whose photo it is can ask for a review."))
    if request_review(photo=shown, by=request.user):
        messages.success(
            request, _("Clinicians have been asked to look at this photo. You get a notification when they have.")
        )
    return redirect(reverse("photo", args=[photo_id]) + "#review")
