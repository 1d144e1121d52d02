"""The tables of similar cases: small data-set pictures, vectors by classifier, and the state of each index.

All of it can be made again from pictures and classifiers. Erasing a photo also deletes its vector.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

DIMENSIONS = 128


class RealField(models.FloatField[float, float]):
    """A float of four bytes (`real`): precise enough for vectors, and pgvector can cast it."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "real"


class ReferencePicture(models.Model):
    """A small copy of a data-set picture, shown to clinicians and indexed for every later classifier.

    The key is the SHA-256 of the original file, so that a picture of several data sets (`KnownImage`) is saved once. It
    has about ten kilobytes and is in the database, not on the storage: thousands are written in one transaction, and
    they are deleted with the last data set.
    """

    original_sha256 = models.CharField(_("SHA-256 of the file"), max_length=64, unique=True)
    jpeg = models.BinaryField(_("picture"))
    width = models.PositiveSmallIntegerField(_("width in pixels"))
    height = models.PositiveSmallIntegerField(_("height in pixels"))

    class Meta:
        verbose_name = _("reference picture")
        verbose_name_plural = _("reference pictures")

    def __str__(self) -> str:
        return self.original_sha256[:12]


class FeatureVector(models.Model):
    """The vector of one picture in one classifier's feature space: `DIMENSIONS` numbers with norm 1.

    It belongs to a photo or to a reference picture (see `diagnoses.similar.projection`).
    """

    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, null=True, related_name="vectors")
    reference = models.ForeignKey(ReferencePicture, on_delete=models.CASCADE, null=True, related_name="vectors")
    values: Any = ArrayField(RealField(), size=DIMENSIONS)

    class Meta:
        verbose_name = _("feature vector")
        verbose_name_plural = _("feature vectors")
        constraints = [
            models.UniqueConstraint(fields=["classifier", "photo"], name="vector_once_a_photo"),
            models.UniqueConstraint(fields=["classifier", "reference"], name="vector_once_a_reference"),
            models.CheckConstraint(
                condition=Q(photo__isnull=True, reference__isnull=False)
                | Q(photo__isnull=False, reference__isnull=True),
                name="vector_of_one_picture",
            ),
            models.CheckConstraint(condition=Q(values__len=DIMENSIONS), name="vector_whole"),
        ]

    def __str__(self) -> str:
        return f"vector {self.pk}"


class FeatureIndex(models.Model):
    """The state of one classifier's index, and the usual similarity in its space.

    `median_similarity` and `low_similarity` are the median and the lowest tenth of the cosine similarities between a
    case and the nearest case of another lesion. None while there are too few cases.
    """

    classifier = models.OneToOneField("diagnoses.Classifier", on_delete=models.CASCADE, related_name="feature_index")
    cases = models.PositiveIntegerField(_("confirmed cases"), default=0)
    waiting = models.PositiveIntegerField(_("pictures waiting"), default=0)
    median_similarity = models.FloatField(_("usual similarity"), null=True)
    low_similarity = models.FloatField(_("low similarity"), null=True)
    updated = models.DateTimeField(_("last worked on"), default=timezone.now)

    class Meta:
        verbose_name = _("index of similar cases")
        verbose_name_plural = _("indexes of similar cases")
        ordering = ["-updated"]

    def __str__(self) -> str:
        return f"{self.classifier}: {self.cases}"
