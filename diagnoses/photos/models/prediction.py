"""Own `Prediction`: what one classifier said of one photo. Immutable (database trigger)."""

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
from recognition.taxonomy import CODES

# The operating point (recognition.inference.bundle.OperatingPoint) that stood for "see a doctor" before there were
# decisions; rows without one still go by it.
SUSPICION = "balanced"

DECISIONS = [decision.value for decision in Decision]


class Prediction(models.Model):
    """One classifier's answer. A row is never changed; another classifier makes another row beside it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="predictions")
    classifier = models.ForeignKey("diagnoses.Classifier", on_delete=models.PROTECT, related_name="predictions")
    # Calibrated probabilities in ISIC order (recognition.taxonomy.CODES); they add up to 1.
    probabilities = ArrayField(models.FloatField(), size=len(CODES))
    diagnosis = DiagnosisField(_("top diagnosis"))
    confidence = models.FloatField(_("confidence"))
    malignant_score = models.FloatField(_("malignant score"), help_text=_("Sum of the probabilities of the cancers."))
    # The decision aid's answer, as it was made; rows from before there was one have none of it. Decision and score are
    # the columns that lists and constraints need of it.
    decision = DecisionField(_("decision"), default="")
    score = models.PositiveSmallIntegerField(_("score"), null=True, blank=True, help_text=_("1 to 10."))
    assessment = models.JSONField(_("assessment"), null=True, blank=True)
    # Empty when the network found no positive evidence for its answer.
    heatmap = models.FileField(_("heatmap"), max_length=200, blank=True)
    runtime = models.CharField(_("runtime"), max_length=20)
    duration_ms = models.PositiveIntegerField(_("duration in ms"), help_text=_("From claim to result, in the worker."))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ["-created", "-id"]
        # What the live classifier said lately is looked at every minute (diagnoses.monitoring.alarms).
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
                # A comparison with a missing key is null, and a check that is null passes.
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
        """What the decision aid said, or None for a row from before there was one."""
        return Assessment.from_json(self.assessment) if self.assessment is not None else None

    @property
    def prediction_set(self) -> tuple[str, ...]:
        """Codes that cannot be told apart at the sealed coverage, most probable first; empty without a sealed set."""
        return self.assessed.prediction_set if self.assessed is not None else ()

    @property
    def is_refused(self) -> bool:
        """Whether a gate refused the picture: the answer is kept for clinicians and is none for a patient."""
        return self.decision == Decision.NOT_ASSESSED

    @property
    def is_suspicious(self) -> bool:
        """Whether a doctor should look because of the picture: by the decision where there is one.

        Without one, whether the malignant score reaches the classifier's sealed threshold, whatever the top diagnosis
        is. A manifest without a threshold never raises suspicion by itself.
        """
        if self.decision:
            return self.decision in {Decision.URGENT, Decision.SOON}
        points = self.classifier.manifest.get("operating_points", [])
        thresholds = [float(point["threshold"]) for point in points if point["name"] == SUSPICION]
        return any(self.malignant_score >= threshold for threshold in thresholds)
