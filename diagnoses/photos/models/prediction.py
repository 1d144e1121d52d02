"""`Prediction`: what network and gates of one classifier measured of one photo. Immutable (database trigger)."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Prediction(models.Model):
    """What one classifier measured of one photo. A row never changes; another classifier adds another row.

    What follows for the patient is in its `PhotoAssessment` rows: answers to questions and another kind of picture make
    a new one from `outputs`, without the network.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="predictions")
    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.PROTECT, related_name="predictions")
    # `recognition.inference.assessor.PictureOutputs` as JSON. Null in rows from before outputs were kept: their photos
    # cannot be assessed again.
    outputs = models.JSONField(_("outputs of the network"), null=True, blank=True)
    # Empty if the network found no positive evidence for its answer.
    heatmap = models.FileField(_("heatmap"), max_length=200, blank=True)
    runtime = models.CharField(_("runtime"), max_length=20)
    duration_ms = models.PositiveIntegerField(_("duration in ms"), help_text=_("From claim to result, in the worker."))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ["-created", "-id"]
        # The newest predictions of the live classifier are checked every minute (diagnoses.monitoring.alarms).
        indexes = [models.Index(fields=["classifier", "-created"], name="prediction_newest")]
        constraints = [models.UniqueConstraint(fields=["photo", "classifier"], name="prediction_once")]

    def __str__(self) -> str:
        return f"prediction {self.pk}"
