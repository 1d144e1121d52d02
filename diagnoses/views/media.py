"""The pictures themselves, for those who may see the photo."""

from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.views.decorators.http import require_safe

from diagnoses.media import stream
from diagnoses.views.access import SignedInRequest, signed_in, visible_photo


@require_safe
@signed_in
def photo_image(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """The clean upright picture, as analysed."""
    photo = visible_photo(request, photo_id)
    return stream(photo.image.name, "image/jpeg", f"teri-{photo.pk}.jpg")


@require_safe
@signed_in
def photo_thumbnail(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """A small version for lists."""
    photo = visible_photo(request, photo_id)
    return stream(photo.thumbnail.name, "image/jpeg", f"teri-{photo.pk}-small.jpg")


@require_safe
@signed_in
def photo_heatmap(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """Where in the picture the classifier found evidence: a transparent overlay of the photo's shape.

    404 while there is no prediction, and where the classifier found no positive evidence.
    """
    photo = visible_photo(request, photo_id)
    prediction = photo.prediction
    if prediction is None or not prediction.heatmap:
        raise Http404
    return stream(prediction.heatmap.name, "image/png", f"teri-{photo.pk}-heatmap.png")
