"""Writes known images, and recognises photos that were uploaded before them."""

from collections.abc import Iterable

from django.db import transaction

from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import recognise

BATCH = 1000


def register_known_images(images: Iterable[KnownImage]) -> int:
    """Save images of a data set. An image with the same name is updated.

    All or nothing. Returns the number of given images.
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
    """Check all unrecognised photos again. Returns how many were recognised."""
    recognised = 0
    for photo in Photo.objects.filter(recognised_as__isnull=True).iterator(chunk_size=BATCH):
        known = recognise(photo)
        if known is not None:
            recognised += Photo.objects.filter(pk=photo.pk, recognised_as__isnull=True).update(recognised_as=known)
    return recognised
