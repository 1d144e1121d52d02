"""The two lists: a patient's own history, and every patient's for those who review."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnoses.forms import ReviewFilterForm
from diagnoses.models import Photo
from diagnoses.paging import Order, page_of
from diagnoses.views.access import SignedInRequest, signed_in

HISTORY = Order("history", "created", "time")


@require_safe
@signed_in
def photo_list(request: SignedInRequest) -> HttpResponse:
    """One's own photos, newest first."""
    own = Photo.objects.visible_to(request.user).filter(owner=request.user).for_display()
    page = page_of(own, order=HISTORY, cursor=request.GET.get("cursor", ""))
    return render(request, "diagnoses/photo_list.html", {"page": page})


@require_safe
@signed_in
def review_list(request: SignedInRequest) -> HttpResponse:
    """Every patient's photos, filtered and sorted as the address says. For patients this page does not exist."""
    if not request.user.sees_all_patients:
        raise Http404
    form = ReviewFilterForm(request.GET)
    photos = form.narrow(Photo.objects.visible_to(request.user).for_display())
    page = page_of(photos, order=form.order, cursor=request.GET.get("cursor", ""))
    context: dict[str, Any] = {"form": form, "page": page, "sorted_by": form.order.name}
    return render(request, "diagnoses/review_list.html", context)
