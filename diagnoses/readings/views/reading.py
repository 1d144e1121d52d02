"""The reading page of one photo: blind answer, final answer, and actions after the reading."""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.photos.models import Photo
from diagnoses.photos.services import view_photo
from diagnoses.readings.findings import record_finding
from diagnoses.readings.forms import AgreedForm, BlindForm, FinalForm, HistopathologyForm
from diagnoses.readings.models import Finding
from diagnoses.readings.services import (
    ReadingRefusal,
    ReadingRefused,
    begin_reading,
    record_blind,
    record_final,
    request_second_reading,
    settle_alone,
)
from diagnoses.readings.views.reader_page import REFUSALS, ReaderStage, own_reading, page_context, stage_of


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def reading(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The reading page; both answers are posted to it. 404 for patients.

    Opening it is audited and begins the reading.
    """
    photo = _photo(request, photo_id)
    if photo.owner_id == request.user.pk:
        messages.info(request, _("Nobody reads their own photo."))
        return redirect("photo", photo_id=photo_id)
    if request.method == "POST":
        return _answered(request, photo)
    view_photo(photo=photo, by=request.user)
    if stage_of(photo, request.user) is ReaderStage.BLIND:
        # The photo was settled at this moment. The page says so.
        with suppress(ReadingRefused):
            begin_reading(photo=photo, by=request.user)
    return render(request, "diagnoses/readings/reading.html", page_context(request.user, photo))


def _photo(request: SignedInRequest, photo_id: UUID) -> Photo:
    """The photo with all related rows of the page. Raises Http404 if it does not exist, and for patients."""
    if not request.user.sees_all_patients:
        raise Http404
    rows = Photo.objects.visible_to(request.user).select_related(
        "owner", "lesion", "history", "assessment__prediction__classifier", "recognised_as"
    )
    photo = (
        rows.prefetch_related(
            "findings__recorded_by", "readings__reader", "readings__assessment__prediction__classifier"
        )
        .defer("content_hash", "recognised_as__content_hash", "assessment__prediction__classifier__manifest")
        .filter(pk=photo_id)
        .first()
    )
    if photo is None:
        raise Http404
    return photo


def _answered(request: SignedInRequest, photo: Photo) -> HttpResponse:
    if request.POST.get("step") == "blind":
        return _blind(request, photo)
    return _final(request, photo)


def _blind(request: SignedInRequest, photo: Photo) -> HttpResponse:
    form = BlindForm(request.POST)
    if not form.is_valid():
        return render(
            request, "diagnoses/readings/reading.html", page_context(request.user, photo, blind_form=form), status=422
        )
    said = form.answer
    try:
        begun = begin_reading(photo=photo, by=request.user)
        record_blind(reading=begun, by=request.user, answer=said.answer, diagnosis=said.diagnosis)
    except ReadingRefused as refused:
        messages.warning(request, str(REFUSALS[refused.code]))
    return redirect(reverse("reading", args=[photo.pk]) + "#answer")


def _final(request: SignedInRequest, photo: Photo) -> HttpResponse:
    own = own_reading(photo, request.user)
    if own is None or own.revealed is None:
        messages.warning(request, str(REFUSALS[ReadingRefusal.NOT_REVEALED]))
        return redirect("reading", photo_id=photo.pk)
    form = FinalForm(request.POST)
    status, refused = 422, None
    if form.is_valid():
        try:
            record_final(reading=own, by=request.user, **form.values())
        except ValidationError as error:
            form.take_errors(error.message_dict)
        except ReadingRefused as error:
            if error.code is ReadingRefusal.ALREADY:
                return redirect("reading", photo_id=photo.pk)
            status, refused = 409, error.code
        else:
            messages.success(request, _recorded_words(photo))
            return redirect(reverse("reading", args=[photo.pk]) + "#readings")
    shown = page_context(request.user, _photo(request, photo.pk), final_form=form, refused=refused)
    return render(request, "diagnoses/readings/reading.html", shown, status=status)


def _recorded_words(photo: Photo) -> str:
    state = Photo.objects.values_list("review_state", flat=True).get(pk=photo.pk)
    return {
        Photo.ReviewState.SECOND.value: _("Your reading has been recorded. A second clinician reads this photo next."),
        Photo.ReviewState.ADJUDICATION.value: _(
            "Your reading has been recorded. The two readings differ, so that a third clinician decides."
        ),
    }.get(state, _("Your reading has been recorded, and the patient has been told."))


@require_POST
@signed_in
def reading_second(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Request a second reading of a photo that one reader has settled."""
    said = _("A second clinician has been asked to read this photo.")
    return _hand_on(request, photo_id, request_second_reading, said)


@require_POST
@signed_in
def reading_settle(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Settle by the first reading if nobody can give the second one."""
    said = _("The first reading now stands, and the patient has been told.")
    return _hand_on(request, photo_id, settle_alone, said)


def _hand_on(request: SignedInRequest, photo_id: UUID, step: Callable[..., Photo], said: str) -> HttpResponse:
    """Run an action that needs no form, and show its result as a message."""
    photo = _photo(request, photo_id)
    try:
        step(photo=photo, by=request.user)
    except ReadingRefused as refused:
        messages.warning(request, str(REFUSALS[refused.code]))
    else:
        messages.success(request, said)
    return redirect("reading", photo_id=photo_id)


@require_POST
@signed_in
def reading_histopathology(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Record the histopathology, which becomes the ground truth."""
    photo = _photo(request, photo_id)
    form = HistopathologyForm(request.POST, prefix="tissue")
    if not form.is_valid():
        return render(
            request,
            "diagnoses/readings/reading.html",
            page_context(request.user, photo, histopathology=form),
            status=422,
        )
    record_finding(photo=photo, by=request.user, source=Finding.Source.HISTOPATHOLOGY, **form.cleaned_data)
    messages.success(request, _("The histopathology has been recorded, and the patient has been told."))
    return redirect(reverse("reading", args=[photo_id]) + "#readings")


@require_POST
@signed_in
def reading_agreed(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Record the diagnosis that two readers agree on. Only while their photo waits for an adjudicator."""
    photo = _photo(request, photo_id)
    if (
        photo.review_state != Photo.ReviewState.ADJUDICATION
        or stage_of(photo, request.user) is not ReaderStage.RECORDED
    ):
        messages.warning(request, str(REFUSALS[ReadingRefusal.NOT_SO]))
        return redirect("reading", photo_id=photo_id)
    form = AgreedForm(request.POST, prefix="agreed")
    if not form.is_valid():
        return render(
            request, "diagnoses/readings/reading.html", page_context(request.user, photo, agreed=form), status=422
        )
    record_finding(photo=photo, by=request.user, source=Finding.Source.CLINICIAN, **form.cleaned_data)
    messages.success(request, _("What you agree on has been recorded, and the patient has been told."))
    return redirect(reverse("reading", args=[photo_id]) + "#readings")
