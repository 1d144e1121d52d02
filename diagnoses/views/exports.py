"""The filtered list as a file."""

from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from diagnoses.export import csv_lines
from diagnoses.forms import ReviewFilterForm
from diagnoses.models import Photo
from diagnoses.services.exports import record_export
from diagnoses.views.access import SignedInRequest, signed_in


@require_safe
@signed_in
def review_export(request: SignedInRequest) -> HttpResponseBase:
    """What the review list shows with these filters, all pages of it, as CSV. For patients this address does not exist.

    Names and addresses are in it only with `?with_patient=`. It is audited before the first line leaves.
    """
    if not request.user.sees_all_patients:
        raise Http404
    form = ReviewFilterForm(request.GET, by=request.user)
    photos = form.chosen_photos(Photo.objects.visible_to(request.user)).order_by("-created", "-pk")
    with_patient = bool(request.GET.get("with_patient"))
    if request.method == "HEAD":
        return StreamingHttpResponse(content_type="text/csv; charset=utf-8")
    record_export(by=request.user, rows=photos.count(), with_patient=with_patient)
    name = f"teri-photos-{timezone.localdate():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        csv_lines(photos, with_patient=with_patient),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )
