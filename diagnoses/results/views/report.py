"""The report on a photo as a PDF, in the chosen language."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.views.decorators.http import require_safe

from accounts.models import Language
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.photos.models import Photo
from diagnoses.photos.services import view_picture
from diagnoses.photos.views import visible_photo


@require_safe
@signed_in
def photo_report(request: SignedInRequest, photo_id: UUID) -> HttpResponse:
    """The report for the owner, clinicians and administrators. Views by others are audited like those of the picture.

    `?language=` is one of the three languages, else that of the page. `?anonymous=1` leaves out the patient's name.
    """
    photo = visible_photo(request, photo_id, for_display=True)
    view_picture(photo=photo, by=request.user)
    return report_response(request, photo, for_clinician=request.user.sees_all_patients)


def report_response(request: HttpRequest, photo: Photo, *, for_clinician: bool = False) -> HttpResponse:
    """The report as a download. The caller must have checked permission."""
    # The PDF library costs half a second and 25 MB, so only processes that make a report import it.
    from diagnoses.results.report import make_report

    language = request.GET.get("language", "")
    with translation.override(language if language in Language.values else translation.get_language()):
        report = make_report(photo, with_name="anonymous" not in request.GET, for_clinician=for_clinician)
    day = timezone.localdate(photo.created)
    return HttpResponse(
        report,
        content_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="teri-{day:%Y-%m-%d}-{photo.pk.hex[:8]}.pdf"',
            "Cache-Control": "private, no-store",
        },
    )
