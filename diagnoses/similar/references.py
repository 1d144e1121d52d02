"""Writes the small copies of data-set pictures, which clinicians see and from which every index is made."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef

from diagnoses.photos.models import KnownImage
from diagnoses.similar.models import ReferencePicture
from recognition.datasets.known_images import SmallPicture

BATCH = 256


def store_references(pictures: Iterable[SmallPicture]) -> int:
    """Save small pictures, `BATCH` at a time. Existing ones are not changed. Returns the number of given pictures.

    If the source fails, the written ones are kept and the next run continues with the missing ones.
    """
    given = 0
    batch: list[ReferencePicture] = []
    for picture in pictures:
        batch.append(
            ReferencePicture(
                original_sha256=picture.original_sha256,
                jpeg=picture.jpeg,
                width=picture.width,
                height=picture.height,
            )
        )
        if len(batch) == BATCH:
            given += _save(batch)
    return given + _save(batch)


def without_reference(*, dataset: str) -> list[str]:
    """The names of a data set's known images without a small picture."""
    there = ReferencePicture.objects.filter(original_sha256=OuterRef("original_sha256"))
    rows = KnownImage.objects.filter(~Exists(there), dataset=dataset)
    return list(rows.order_by("image").values_list("image", flat=True))


def drop_unknown_references() -> int:
    """Delete small pictures that are in no data set any more, with their vectors. Returns how many."""
    known = KnownImage.objects.filter(original_sha256=OuterRef("original_sha256"))
    _all, by_model = ReferencePicture.objects.filter(~Exists(known)).delete()
    return by_model.get("diagnoses.ReferencePicture", 0)


def _save(batch: list[ReferencePicture]) -> int:
    count = len(batch)
    ReferencePicture.objects.bulk_create(batch, ignore_conflicts=True)
    batch.clear()
    return count
