"""`Prediction`: the answer of one classifier to one photo. Immutable (database trigger)."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import DecisionField, DiagnosisField
from recognition.inference.assessment import SCORE_MAX, SCORE_MIN, Assessment, Decision
from recognition.inference.bundle import image_type_blocks
from recognition.taxonomy import CODES, DERMOSCOPIC

# The operating point (recognition.inference.bundle.OperatingPoint) for "see a doctor" in rows from before there were
# decisions.
SUSPICION = "balanced"

DECISIONS = [decision.value for decision in Decision]


class Prediction(models.Model):
    """The answer of one classifier. A row never changes; another classifier adds another row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="predictions")
    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.PROTECT, related_name="predictions")
    # Calibrated probabilities in ISIC order (recognition.taxonomy.CODES); they add up to 1.
    probabilities = ArrayField(models.FloatField(), size=len(CODES))
    diagnosis = DiagnosisField(_("top diagnosis"))
    confidence = models.FloatField(_("confidence"))
    malignant_score = models.FloatField(_("malignant score"), help_text=_("Sum of the probabilities of the cancers."))
    # The assessment as it was made. Older rows have none. Decision and score are copied to columns for lists and
    # constraints.
    decision = DecisionField(_("decision"), default="")
    score = models.PositiveSmallIntegerField(_("score"), null=True, blank=True, help_text=_("1 to 10."))
    assessment = models.JSONField(_("assessment"), null=True, blank=True)
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
        constraints = [
            models.UniqueConstraint(fields=["photo", "classifier"], name="prediction_once"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1, malignant_score__gte=0, malignant_score__lte=1),
                name="prediction_scores_are_shares",
            ),
            models.CheckConstraint(condition=Q(probabilities__len=len(CODES)), name="prediction_eight_probabilities"),
            models.CheckConstraint(
                condition=Q(decision="", assessment__isnull=True, score__isnull=True)
                # In SQL a comparison with a missing key is null, and a check that is null passes.
                | Q(decision__in=DECISIONS, assessment__has_key="decision", decision=KT("assessment__decision"))
                & Q(assessment__isnull=False),
                name="prediction_assessed_whole",
            ),
            models.CheckConstraint(
                condition=Q(score__isnull=True)
                | Q(score__gte=SCORE_MIN, score__lte=SCORE_MAX) & ~Q(decision=Decision.NOT_ASSESSED.value),
                name="prediction_score_one_to_ten",
            ),
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

    @cached_property
    def assessed(self) -> Assessment | None:
        """The assessment, or None for older rows without one."""
        return Assessment.from_json(self.assessment) if self.assessment is not None else None

    @property
    def prediction_set(self) -> tuple[str, ...]:
        """The codes of the prediction set, most probable first. Empty if the bundle has no threshold for it."""
        return self.assessed.prediction_set if self.assessed is not None else ()

    @property
    def is_refused(self) -> bool:
        """Whether a gate refused the picture. Then only clinicians see the answer."""
        return self.decision == Decision.NOT_ASSESSED

    @property
    def is_suspicious(self) -> bool:
        """Whether a doctor should look because of the picture, by the decision.

        Without a decision: whether the malignant score reaches the classifier's sealed threshold, independent of the
        top diagnosis. Without a threshold it is never suspicious.
        """
        if self.decision:
            return self.decision in {Decision.URGENT, Decision.SOON}
        points = image_type_blocks(self.classifier.manifest)[DERMOSCOPIC].get("operating_points", [])
        thresholds = [float(point["threshold"]) for point in points if point["name"] == SUSPICION]
        return any(self.malignant_score >= threshold for threshold in thresholds)
