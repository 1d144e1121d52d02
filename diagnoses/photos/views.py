"""Views that stream the pictures of a photo to users who may see it."""

from uuid import UUID

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.photos.media import PRIVATE_HEADERS, stream
from diagnoses.photos.models import Photo
from diagnoses.photos.services import view_picture
from diagnoses.similar.models import ReferencePicture

__all__ = ["SignedInRequest", "signed_in", "visible_photo"]


def visible_photo(request: SignedInRequest, photo_id: UUID, *, for_display: bool = False) -> Photo:
    """The photo, if it exists and the user may see it. Raises the same Http404 in both other cases."""
    photos = Photo.objects.visible_to(request.user)
    photo = (photos.for_display() if for_display else photos).filter(pk=photo_id).first()
    if photo is None:
        raise Http404
    return photo


@require_safe
@signed_in
def photo_image(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """The stored upright picture. Views by anybody but the owner are audited, once an hour."""
    photo = visible_photo(request, photo_id)
    view_picture(photo=photo, by=request.user)
    return stream(photo.image.name, "image/jpeg", f"teri-{photo.pk}.jpg")


@require_safe
@signed_in
def photo_thumbnail(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """The thumbnail for lists."""
    photo = visible_photo(request, photo_id)
    return stream(photo.thumbnail.name, "image/jpeg", f"teri-{photo.pk}-small.jpg")


@require_safe
@signed_in
def photo_heatmap(request: SignedInRequest, photo_id: UUID) -> HttpResponseBase:
    """The heatmap: a transparent overlay of the photo's aspect ratio that shows where the classifier found evidence.

    404 without a prediction or positive evidence, and for patients if the picture was refused. Audited like the
    picture: it shows the lesion's shape.
    """
    photo = visible_photo(request, photo_id)
    heatmap = photo.heatmap_for(for_clinician=request.user.sees_all_patients)
    if not heatmap:
        raise Http404
    view_picture(photo=photo, by=request.user)
    return stream(heatmap, "image/png", f"teri-{photo.pk}-heatmap.png")


@require_safe
@signed_in
def reference_picture(request: SignedInRequest, picture_id: int) -> HttpResponseBase:
    """A small data-set picture, shown among similar cases. 404 for patients."""
    if not request.user.sees_all_patients:
        raise Http404
    picture = get_object_or_404(ReferencePicture, pk=picture_id)
    return HttpResponse(bytes(picture.jpeg), content_type="image/jpeg", headers=PRIVATE_HEADERS)
