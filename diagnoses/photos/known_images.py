"""Writes the images that can be recognised, and recognises photos that were there before them."""

from collections.abc import Iterable

from django.db import transaction

from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import recognise

BATCH = 1000


def register_known_images(images: Iterable[KnownImage]) -> int:
    """Save images of a data set; one that is there already under the same name is brought up to date.

    All or nothing. Returns how many were given.
    """
    rows = list(images)
    with transaction.atomic():
        KnownImage.objects.bulk_create(
            rows,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["dataset", "image"],
            update_fields=["diagnosis", "lesion", "original_sha256", "content_hash"],
        )
    return len(rows)


def recognise_photos() -> int:
    """Look at every photo not recognised so far once more. Returns how many were recognised now."""
    recognised = 0
    for photo in Photo.objects.filter(recognised_as__isnull=True).iterator(chunk_size=BATCH):
        known = recognise(photo)
        if known is not None:
            recognised += Photo.objects.filter(pk=photo.pk, recognised_as__isnull=True).update(recognised_as=known)
    return recognised
