"""`KnownImage`: a data-set image that is recognised when somebody uploads it."""

from typing import ClassVar

from django.db import models
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import ContentHashField, DiagnosisField, bits_of


class KnownImageQuerySet(models.QuerySet["KnownImage"]):
    def recognise(self, *, original_sha256: str, content_hash: bytes, max_distance: int) -> "KnownImage | None":
        """The image with exactly these bytes, else the nearest one with at most `max_distance` differing hash bits."""
        exact = self.filter(original_sha256=original_sha256).first()
        if exact is not None:
            return exact
        return (
            self.alias(distance=RawSQL("bit_count(content_hash # %s::bit(256))", [bits_of(content_hash)]))
            .filter(distance__lte=max_distance)
            .order_by("distance", "pk")
            .first()
        )


class KnownImage(models.Model):
    """An image of a public data set with its diagnosis there and its perceptual hash.

    A small copy of its pixels may be in the `ReferencePicture` of the same file.
    """

    dataset = models.CharField(_("data set"), max_length=100)
    image = models.CharField(_("image"), max_length=100, help_text=_("Name in the data set, such as ISIC_0024468."))
    diagnosis = DiagnosisField(_("diagnosis"))
    # Of several images of one lesion only the nearest is shown as a similar case, and never beside each other.
    lesion = models.CharField(_("lesion"), max_length=100, blank=True, help_text=_("Its name in the data set."))
    original_sha256 = models.CharField(_("SHA-256 of the file"), max_length=64)
    content_hash = ContentHashField(_("content hash"))

    objects: ClassVar[KnownImageQuerySet] = KnownImageQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("known image")
        verbose_name_plural = _("known images")
        constraints = [models.UniqueConstraint(fields=["dataset", "image"], name="known_image_unique")]
        indexes = [models.Index(fields=["original_sha256"], name="known_image_bytes")]

    def __str__(self) -> str:
        return f"{self.image} ({self.dataset})"
