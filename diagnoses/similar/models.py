"""Own what the search for similar cases stands on: small pictures of data sets, and where each lies for a classifier.

All of it can be made again from pictures and classifiers, and goes with them: a photo that is erased takes its vector
along.
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
    """Four bytes a number (`real`): what the vectors hold is not known more precisely, and pgvector casts it."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "real"


class ReferencePicture(models.Model):
    """One picture of an imported data set, small: for clinicians to look at and for every later classifier to index.

    Named by the SHA-256 of the file it was made from, so that a picture held by several data sets (`KnownImage`) is
    kept once. In the database rather than on the storage: some ten kilobytes, written with a thousand others in one
    transaction and gone with the last data set that has it.
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
    """Where one picture lies in one classifier's feature space: `DIMENSIONS` numbers, of length 1 together.

    Of a photo or of a reference picture, never of both (`diagnoses.similar.projection` says how it is made).
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
    """How far one classifier's index is, and what "similar" means in its space.

    `median_similarity` and `low_similarity` are the middle and the tenth part of the cosine similarities between a
    case and the nearest case of another lesion; None while there are too few cases to say.
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
