"""Own `Prediction`: what one classifier said of one photo. Immutable (database trigger)."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.models.fields import DiagnosisField
from diagnoses.taxonomy import CODES

# The operating point (diagnoses.inference.bundle.OperatingPoint) that decides the advice to see a doctor.
SUSPICION = "balanced"


class Prediction(models.Model):
    """One classifier's answer. A row is never changed; another classifier makes another row beside it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="predictions")
    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.PROTECT, related_name="predictions")
    # Calibrated probabilities in ISIC order (diagnoses.taxonomy.CODES); they add up to 1.
    probabilities = ArrayField(models.FloatField(), size=len(CODES))
    diagnosis = DiagnosisField(_("top diagnosis"))
    confidence = models.FloatField(_("confidence"))
    malignant_score = models.FloatField(_("malignant score"), help_text=_("Sum of the probabilities of the cancers."))
    # Empty when the network found no positive evidence for its answer.
    heatmap = models.FileField(_("heatmap"), max_length=200, blank=True)
    runtime = models.CharField(_("runtime"), max_length=20)
    duration_ms = models.PositiveIntegerField(_("duration in ms"), help_text=_("From claim to result, in the worker."))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ["-created", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "classifier"], name="prediction_once"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1, malignant_score__gte=0, malignant_score__lte=1),
                name="prediction_scores_are_shares",
            ),
            models.CheckConstraint(condition=Q(probabilities__len=len(CODES)), name="prediction_eight_probabilities"),
        ]

    def __str__(self) -> str:
        return f"{self.diagnosis} {self.confidence:.2f}"

    def probability_of(self, code: str) -> float:
        """Probability of one of the eight codes, 0 to 1."""
        return self.probabilities[CODES.index(code)]

    @property
    def by_code(self) -> dict[str, float]:
        """All eight probabilities in ISIC order."""
        return dict(zip(CODES, self.probabilities, strict=True))

    @property
    def is_suspicious(self) -> bool:
        """Whether the malignant score reaches the classifier's sealed threshold, whatever the top diagnosis is.

        The threshold was chosen on the calibration split when the bundle was sealed; a manifest without one never
        raises suspicion by itself.
        """
        points = self.classifier.manifest.get("operating_points", [])
        thresholds = [float(point["threshold"]) for point in points if point["name"] == SUSPICION]
        return any(self.malignant_score >= threshold for threshold in thresholds)
