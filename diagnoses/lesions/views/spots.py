"""The spots pages: all spots, one spot over time, two of its photos side by side."""

from typing import Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.labels import SAFETY_NET
from diagnoses.lesions.forms import MovePhotosForm
from diagnoses.lesions.joint import joint_answer
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.lesions.reminders import ReminderRefusal, offered_days, reminder_refusal
from diagnoses.lesions.services import view_lesion
from diagnoses.lesions.spots import (
    MANIFEST,
    Spot,
    advice_for,
    by_site,
    day_of,
    drawings,
    raises_advice,
    span_of,
    spots_of,
)
from diagnoses.paging import Order, page_of
from diagnoses.photos.models import Photo

TIMELINE: Final = Order("timeline", "created", "time")
LOOSE_SHOWN: Final = 12  # newest photos without a spot on the overview; the page of all photos shows the rest
COMPARABLE: Final = 200  # the largest number of photos of one spot for which a select list is shown

REFUSALS: Final = {
    ReminderRefusal.NO_PHOTO: gettext_lazy(
        "A reminder needs a photo to compare the next one with. Take the first one now."
    ),
    ReminderRefusal.WAITING: gettext_lazy(
        "The newest photo has no result yet. Once it has one, reminders may be offered."
    ),
    ReminderRefusal.NOT_ASSESSED: gettext_lazy(
        "The newest photo could not be assessed. Please take another one now rather than in some months."
    ),
    ReminderRefusal.DOCTOR: gettext_lazy(
        "This spot should be seen by a doctor. That is why no reminder is offered: another photo is no reason to wait."
    ),
}
"""Why no reminder is offered, as text for the patient."""


def visible_lesion(request: SignedInRequest, lesion_id: UUID) -> Lesion:
    """The spot, if it exists and the user may see it. Raises the same Http404 in both other cases."""
    lesion = Lesion.objects.visible_to(request.user).select_related("owner").filter(pk=lesion_id).first()
    if lesion is None:
        raise Http404
    return lesion


def own_lesion(request: SignedInRequest, lesion_id: UUID) -> Lesion:
    """The spot for an action of its owner. Raises PermissionDenied for users who may only view it."""
    lesion = visible_lesion(request, lesion_id)
    if lesion.owner_id != request.user.pk:
        raise PermissionDenied(_("Only the person whose spot this is can change it."))
    return lesion


@require_safe
@signed_in
def lesion_list(request: SignedInRequest) -> HttpResponse:
    """The user's spots, on the body map and by site, and their photos without a spot."""
    return render(request, "diagnoses/lesions/lesion_list.html", overview(request))


def overview(request: SignedInRequest, move_form: MovePhotosForm | None = None) -> dict[str, Any]:
    """The template context of the overview. `move_form` is a submitted form with errors."""
    spots = spots_of(request.user)
    loose = Photo.objects.filter(owner=request.user, lesion=None).for_display().defer(MANIFEST)
    some = list(loose.order_by("-created", "-pk")[: LOOSE_SHOWN + 1])
    return {
        "spots": spots,
        "sites": by_site(spots),
        "drawings": drawings(spots),
        "loose": some[:LOOSE_SHOWN],
        "more_loose": len(some) > LOOSE_SHOWN,
        "move_form": move_form or MovePhotosForm(owner=request.user),
    }


@require_safe
@signed_in
def lesion(request: SignedInRequest, lesion_id: UUID) -> HttpResponse:
    """One spot over time, newest first. Views by anybody but the owner are audited, once an hour."""
    shown = visible_lesion(request, lesion_id)
    view_lesion(lesion=shown, by=request.user)
    return render(request, "diagnoses/lesions/lesion.html", lesion_page(request, shown))


def lesion_page(request: SignedInRequest, shown: Lesion, move_form: MovePhotosForm | None = None) -> dict[str, Any]:
    """The template context of a spot's page. `move_form` is a submitted form with errors."""
    is_owner = shown.owner_id == request.user.pk
    photos = Photo.objects.visible_to(request.user).filter(lesion=shown).for_display().defer(MANIFEST)
    page = page_of(photos, order=TIMELINE, cursor=request.GET.get("cursor", ""))
    newest = page.rows[0] if page.is_first and page.rows else photos.order_by("-created", "-pk").first()
    span = span_of(shown)
    joint = joint_answer(shown)
    context: dict[str, Any] = {
        "lesion": shown,
        "is_owner": is_owner,
        "page": page,
        "span": span,
        "timeline": [(photo, day_of(photo.created, span.first)) for photo in page] if span is not None else [],
        "newest": newest,
        "advice": advice_for(newest, joint) if newest is not None else None,
        "joint": joint,
        "joint_counts": joint is not None and newest is not None and raises_advice(newest, joint),
        "safety_net": SAFETY_NET,
        "drawings": [d for d in drawings([Spot(number=0, lesion=shown)]) if d.dots],
    }
    if is_owner:
        refusal = reminder_refusal(shown)
        context |= {
            "reminder": Reminder.objects.standing().filter(lesion=shown).first(),
            "refusal": refusal,
            "refusal_words": REFUSALS[refusal] if refusal is not None else "",
            "offers": offered_days(),
            "move_form": move_form or MovePhotosForm(owner=request.user, without=shown),
        }
    return context


@require_safe
@signed_in
def lesion_compare(request: SignedInRequest, lesion_id: UUID) -> HttpResponse:
    """Two photos of a spot side by side: those in the URL, else the first and the newest."""
    shown = visible_lesion(request, lesion_id)
    view_lesion(lesion=shown, by=request.user)
    photos = list(
        Photo.objects.visible_to(request.user).filter(lesion=shown).order_by("-created", "-pk")[: COMPARABLE - 1]
    )
    span = span_of(shown)
    if span is not None and span.photos >= COMPARABLE:
        # The first photo is always offered, because everything is compared with it.
        photos += Photo.objects.visible_to(request.user).filter(lesion=shown).order_by("created", "pk")[:1]
    photos.reverse()
    days = {photo.pk: day_of(photo.created, span.first) for photo in photos} if span is not None else {}
    chosen = {str(photo.pk): photo for photo in photos}
    before = chosen.get(request.GET.get("before", "")) or (photos[0] if photos else None)
    after = chosen.get(request.GET.get("after", "")) or (photos[-1] if photos else None)
    context = {
        "lesion": shown,
        "is_owner": shown.owner_id == request.user.pk,
        "choices": [(photo, days[photo.pk]) for photo in photos],
        "before": before,
        "after": after,
        "before_day": days.get(before.pk) if before is not None else None,
        "after_day": days.get(after.pk) if after is not None else None,
    }
    return render(request, "diagnoses/lesions/lesion_compare.html", context)
