"""Who is let into a page: only people signed in (`accounts.views.access`), and to a photo only those who may see it."""

from uuid import UUID

from django.http import Http404

from accounts.views.access import SignedInRequest, signed_in
from diagnoses.models import Photo

__all__ = ["SignedInRequest", "signed_in", "visible_photo"]


def visible_photo(request: SignedInRequest, photo_id: UUID, *, for_display: bool = False) -> Photo:
    """The photo, if it exists and this person may see it; otherwise Http404, the same for both."""
    photos = Photo.objects.visible_to(request.user)
    photo = (photos.for_display() if for_display else photos).filter(pk=photo_id).first()
    if photo is None:
        raise Http404
    return photo
