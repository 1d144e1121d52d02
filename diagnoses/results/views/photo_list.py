"""The list of the user's own photos."""

from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.paging import Order, page_of
from diagnoses.photos.models import Photo

HISTORY = Order("history", "created", "time")
# Not shown in a list, and larger than the rest of the row.
MANIFEST: Final = "prediction__classifier__manifest"


@require_safe
@signed_in
def photo_list(request: SignedInRequest) -> HttpResponse:
    """The user's own photos, newest first."""
    own = Photo.objects.visible_to(request.user).filter(owner=request.user).for_display().defer(MANIFEST)
    page = page_of(own, order=HISTORY, cursor=request.GET.get("cursor", ""))
    return render(request, "diagnoses/results/photo_list.html", {"page": page})
