"""One photo: its page, the fragment that keeps the page fresh, and what can be done with it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from diagnoses.advice import advice_on
from diagnoses.figures import figures_behind
from diagnoses.forms import FindingForm
from diagnoses.inference.assessment import Gate
from diagnoses.models import Classifier, Photo, Prediction
from diagnoses.services import delete_photo, record_finding, repredict_photo, retry_photo, view_photo
from diagnoses.taxonomy import Diagnosis
from diagnoses.texts import SAFETY_NET, failure
from diagnoses.views.access import SignedInRequest, signed_in, visible_photo
from diagnoses.views.state import bars, score_steps, waiting

SIBLINGS_SHOWN = 6  # earlier photos of the same spot beside this one; a row of thumbnails


def _context(request: SignedInRequest, photo: Photo) -> dict[str, Any]:
    """What the state of a photo needs to be drawn, on its page and in the fragment.

    An answer to a picture that was refused is kept for clinicians: for a patient there is no `prediction` here, so that
    no template can show it by mistake.
    """
    prediction = photo.prediction
    reviews = request.user.sees_all_patients
    answer = prediction if prediction is not None and (reviews or not prediction.is_refused) else None
    context: dict[str, Any] = {
        "photo": photo,
        "ground_truth": photo.ground_truth,
        "is_owner": photo.owner_id == request.user.pk,
        "reviews": reviews,
    }
    if photo.is_waiting:
        context["waiting"] = waiting(photo)
        context["earlier"] = answer  # a photo that is analysed again keeps the answer it has until then
    elif photo.status == Photo.Status.FAILED:
        context["failure"] = failure(photo.failure_code)
        context["earlier"] = answer  # a second analysis that failed takes nothing back
    elif prediction is not None:
        context["advice"] = advice_on(photo, prediction)
        context["safety_net"] = SAFETY_NET
        if answer is not None:
            context |= _answer(photo, answer)
    return context


def _answer(photo: Photo, prediction: Prediction) -> dict[str, Any]:
    """What the classifier said, for those who may read it."""
    truth = photo.ground_truth
    return {
        "prediction": prediction,
        "assessed": prediction.assessed,
        "uncertain": prediction.assessed is not None and not prediction.assessed.gate(Gate.CERTAINTY).passed,
        "bars": bars(prediction),
        "score_steps": score_steps(prediction.score),
        "diagnosis": Diagnosis(prediction.diagnosis),
        "figures": figures_behind(prediction),
        "agrees": truth is not None and truth.diagnosis == prediction.diagnosis,
    }


@require_safe
@signed_in
def photo(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """A photo and what is known of it. A look by anybody but the owner is audited, once per page."""
    shown = visible_photo(request, photo_id, for_display=True)
    view_photo(photo=shown, by=request.user)
    return render(request, "diagnoses/photo.html", _page(request, shown))


def _page(request: SignedInRequest, shown: Photo, finding_form: FindingForm | None = None) -> dict[str, Any]:
    context = _context(request, shown)
    if shown.lesion_id is not None:
        siblings = Photo.objects.visible_to(request.user).filter(lesion_id=shown.lesion_id).exclude(pk=shown.pk)
        context["siblings"] = list(siblings.order_by("-created", "-pk")[:SIBLINGS_SHOWN])
    context["findings"] = list(shown.findings.all())
    if request.user.sees_all_patients:
        context["finding_form"] = finding_form or FindingForm()
        predictions = list(shown.predictions.select_related("classifier"))
        context["other_predictions"] = [each for each in predictions if each.pk != shown.prediction_id]
        live = Classifier.objects.live()
        asked = {each.classifier_id for each in predictions}
        if shown.status == Photo.Status.PREDICTED and live is not None and live.pk not in asked:
            context["unasked_classifier"] = live
    return context


@require_safe
@signed_in
def photo_status(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The part of the page that changes while a photo waits; asked for by the page itself, so not a look of its own.

    A page that is open while its photo is deleted is told so and asks no more: of a 404 it would make nothing, and ask
    for ever. Told to anybody who asks like that, whether there ever was such a photo or not.
    """
    try:
        shown = visible_photo(request, photo_id, for_display=True)
    except Http404:
        if not request.htmx:
            raise
        return render(request, "diagnoses/partials/gone.html")
    if not request.htmx:
        return redirect("photo", photo_id=photo_id)
    return render(request, "diagnoses/partials/state.html", {**_context(request, shown), "fragment": True})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def photo_delete(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Ask, then delete for good. Only the owner may."""
    shown = visible_photo(request, photo_id, for_display=True)
    if shown.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person who uploaded a photo can delete it."))
    if request.method == "POST":
        delete_photo(photo=shown, by=request.user)
        messages.success(request, _("The photo and everything derived from it have been deleted."))
        return redirect("photo-list")
    return render(request, "diagnoses/photo_delete.html", {"photo": shown})


@require_POST
@signed_in
def photo_retry(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Queue a failed photo again."""
    retry_photo(photo=visible_photo(request, photo_id), by=request.user)
    return redirect("photo", photo_id=photo_id)


@require_POST
@signed_in
def photo_repredict(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """A clinician asks the live classifier as well. For patients this address does not exist."""
    shown = visible_photo(request, photo_id)
    if not request.user.sees_all_patients:
        raise Http404
    if not repredict_photo(photo=shown, by=request.user):
        messages.info(request, _("The live classifier has answered already, or none is live."))
    return redirect("photo", photo_id=photo_id)


@require_POST
@signed_in
def photo_finding(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """A clinician says what the lesion is. For patients this address does not exist."""
    shown = visible_photo(request, photo_id, for_display=True)
    if not request.user.sees_all_patients:
        raise Http404
    form = FindingForm(request.POST)
    if not form.is_valid():
        return render(request, "diagnoses/photo.html", _page(request, shown, form), status=422)
    record_finding(photo=shown, by=request.user, **form.cleaned_data)
    messages.success(request, _("Your finding has been recorded."))
    return redirect(reverse("photo", args=[photo_id]) + "#findings")
