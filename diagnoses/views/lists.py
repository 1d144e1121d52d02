"""The two lists: a patient's own history, and every patient's for those who review."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from diagnoses.forms import ReviewFilterForm
from diagnoses.models import Photo
from diagnoses.paging import Order, page_of
from diagnoses.views.access import SignedInRequest, signed_in

HISTORY = Order("history", "created", "time")
# Never shown in a list, and larger than all the rest of a row.
MANIFEST: Final = "prediction__classifier__manifest"


@dataclass(frozen=True)
class QuickView:
    """A choice of filters and sort that is wanted every day."""

    label: str | Promise
    query: str

    def is_chosen(self, form: ReviewFilterForm) -> bool:
        """Whether the form shows exactly this."""
        chosen = {name: value for name, value in form.data.items() if value and name in form.fields}
        return chosen == dict(parse_qsl(self.query))


WORKLIST: Final = "sort=urgent&finding=no"
QUICK_VIEWS: Final = (
    QuickView(_("Everything"), ""),
    QuickView(_("Without a finding, most urgent first"), WORKLIST),
    QuickView(_("Could not be assessed"), "decision=not_assessed"),
)


@require_safe
@signed_in
def photo_list(request: SignedInRequest) -> HttpResponse:
    """One's own photos, newest first."""
    own = Photo.objects.visible_to(request.user).filter(owner=request.user).for_display().defer(MANIFEST)
    page = page_of(own, order=HISTORY, cursor=request.GET.get("cursor", ""))
    return render(request, "diagnoses/photo_list.html", {"page": page})


@require_safe
@signed_in
def review_list(request: SignedInRequest) -> HttpResponse:
    """Every patient's photos, filtered and sorted as the address says. For patients this page does not exist."""
    if not request.user.sees_all_patients:
        raise Http404
    form = ReviewFilterForm(request.GET)
    photos = form.narrow(Photo.objects.visible_to(request.user).for_display().defer(MANIFEST))
    page = page_of(photos, order=form.order, cursor=request.GET.get("cursor", ""))
    context: dict[str, Any] = {
        "form": form,
        "page": page,
        "sorted_by": form.order.name,
        "quick_views": [{"label": v.label, "query": v.query, "chosen": v.is_chosen(form)} for v in QUICK_VIEWS],
    }
    return render(request, "diagnoses/review_list.html", context)
