"""Changes by the patient: new spots, names and places, moved photos, reminders, history."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.lesions.bodymap import BY_KEY
from diagnoses.lesions.forms import REGION, SITE, HistoryForm, LesionForm, MovePhotosForm, ReminderForm
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.reminders import ReminderRefused, end_reminder, set_reminder
from diagnoses.lesions.services import change_lesion, create_lesion, delete_lesion, move_photos
from diagnoses.lesions.spots import Drawing, drawings, span_of
from diagnoses.lesions.views.spots import REFUSALS, lesion_page, overview, own_lesion
from diagnoses.photos.histories import record_history
from diagnoses.photos.views import visible_photo
from recognition.taxonomy import SITES


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def lesion_new(request: SignedInRequest) -> HttpResponse:
    """Create a spot before its first photo. `?region=` or `?site=` preselects the place."""
    if request.method != "POST":
        return _show(request, LesionForm(initial={"place": _asked_for(request)}))
    form = LesionForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        known = Lesion.objects.filter(owner=request.user, name__iexact=" ".join(given["name"].split())).exists()
        if known:
            form.add_error("name", _("Another of your spots has this name."))
        else:
            try:
                lesion = create_lesion(
                    owner=request.user,
                    name=given["name"],
                    anatom_site_general=given["anatom_site_general"],
                    place=given["body_place"],
                )
            except ValidationError as invalid:
                form.add_error(None, invalid.messages)
            else:
                messages.success(request, _("The spot is in your record. Take its first photo when you like."))
                return redirect("lesion", lesion_id=lesion.pk)
    return _show(request, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def lesion_edit(request: SignedInRequest, lesion_id: UUID) -> HttpResponse:
    """Change name and place of a spot. Only the owner may."""
    lesion = own_lesion(request, lesion_id)
    if request.method != "POST":
        return _show(request, LesionForm.of(lesion), lesion)
    form = LesionForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            change_lesion(
                lesion=lesion,
                by=request.user,
                name=given["name"],
                anatom_site_general=given["anatom_site_general"],
                place=given["body_place"],
            )
        except ValidationError as invalid:
            form.add_error("name" if hasattr(invalid, "error_dict") else None, invalid.messages)
        else:
            messages.success(request, _("The spot has been changed."))
            return redirect("lesion", lesion_id=lesion.pk)
    return _show(request, form, lesion, status=422)


def _show(request: SignedInRequest, form: LesionForm, lesion: Lesion | None = None, status: int = 200) -> HttpResponse:
    empty: list[Drawing] = drawings([])
    context = {"form": form, "lesion": lesion, "drawings": empty}
    return render(request, "diagnoses/lesions/lesion_edit.html", context, status=status)


def _asked_for(request: SignedInRequest) -> str:
    region, site = request.GET.get("region", ""), request.GET.get("site", "")
    if region in BY_KEY:
        return REGION + region
    return SITE + site if site in SITES else ""


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def lesion_delete(request: SignedInRequest, lesion_id: UUID) -> HttpResponse:
    """Ask, then delete a spot and its photos permanently. Only the owner may."""
    lesion = own_lesion(request, lesion_id)
    if request.method == "POST":
        gone = delete_lesion(lesion=lesion, by=request.user)
        words = ngettext(
            "The spot and its %(count)d photo have been deleted.",
            "The spot and its %(count)d photos have been deleted.",
            gone,
        ) % {"count": gone}
        messages.success(request, words if gone else _("The spot has been deleted."))
        return redirect("lesion-list")
    return render(request, "diagnoses/lesions/lesion_delete.html", {"lesion": lesion, "span": span_of(lesion)})


@require_POST
@signed_in
def lesion_reminder(request: SignedInRequest, lesion_id: UUID) -> HttpResponse:
    """Set or end a reminder. A spot that should be seen by a doctor gets that advice instead."""
    lesion = own_lesion(request, lesion_id)
    form = ReminderForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose when you want to be reminded."))
    elif form.cleaned_data["months"] == ReminderForm.OFF:
        if end_reminder(lesion=lesion, by=request.user):
            messages.success(request, _("You will not be reminded of this spot."))
    else:
        try:
            reminder = set_reminder(lesion=lesion, months=int(form.cleaned_data["months"]), by=request.user)
        except ReminderRefused as refused:
            messages.warning(request, REFUSALS[refused.refusal])
        else:
            day = date_format(reminder.due, "DATE_FORMAT")
            messages.success(request, _("You will be reminded on %(day)s.") % {"day": day})
    return redirect("lesion", lesion_id=lesion.pk)


@require_POST
@signed_in
def photos_move(request: SignedInRequest) -> HttpResponse:
    """Move photos to a spot: from the overview those without a spot, from a spot's page its own."""
    origin = None
    if request.POST.get("from"):
        form_of_origin = MovePhotosForm(owner=request.user)
        origin = form_of_origin.lesions.get(request.POST["from"])
    form = MovePhotosForm(request.POST, owner=request.user, without=origin)
    if form.is_valid():
        try:
            target = _target(request, form)
        except ValidationError as invalid:
            form.add_error("name", invalid.messages)
        else:
            chosen = [photo.pk for photo in form.cleaned_data["photos"]]
            moved = move_photos(photo_ids=chosen, lesion=target, by=request.user)
            words = ngettext("%(count)d photo has been moved.", "%(count)d photos have been moved.", moved)
            messages.success(request, words % {"count": moved})
            return redirect("lesion", lesion_id=target.pk) if target is not None else redirect("lesion-list")
    if origin is not None:
        return render(request, "diagnoses/lesions/lesion.html", lesion_page(request, origin, form), status=422)
    return render(request, "diagnoses/lesions/lesion_list.html", overview(request, form), status=422)


def _target(request: SignedInRequest, form: MovePhotosForm) -> Lesion | None:
    to = form.cleaned_data["to"]
    if to == MovePhotosForm.NEW:
        first = form.cleaned_data["photos"].order_by("created").first()
        site = first.anatom_site_general if first is not None else ""
        return create_lesion(owner=request.user, name=form.cleaned_data["name"], anatom_site_general=site)
    return None if to == MovePhotosForm.NONE else form.lesions[to]


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def photo_history(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """Save the reported history of a photo, or tell it again; the photo is assessed again. Only the owner may."""
    photo = visible_photo(request, photo_id, for_display=True)
    if photo.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person who took the photo can say what they know of the spot."))
    earlier = photo.history
    if request.method == "POST":
        form = HistoryForm(request.POST)
    else:
        form = HistoryForm() if earlier is None else HistoryForm.of(earlier)
    if request.method == "POST" and form.is_valid():
        try:
            record_history(photo=photo, by=request.user, answers=form.answers)
        except ValidationError as invalid:
            form.add_error(None, invalid.messages)
        else:
            messages.success(request, _("Thank you. What you said is kept with the photo and counts in its result."))
            return redirect("photo", photo_id=photo.pk)
    status = 422 if form.errors else 200
    return render(request, "diagnoses/lesions/photo_history.html", {"photo": photo, "form": form}, status=status)
