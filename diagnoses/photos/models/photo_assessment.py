"""`PhotoAssessment`: what a prediction says of a photo, given all that was known then. Immutable (database trigger)."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import IMAGE_TYPE_CHOICES, DecisionField, DiagnosisField
from recognition.inference.assessment import SCORE_MAX, SCORE_MIN, Assessment, Decision
from recognition.inference.bundle import image_type_blocks
from recognition.taxonomy import CODES, DERMOSCOPIC

# The operating point (recognition.inference.bundle.OperatingPoint) for "see a doctor" in rows from before there were
# decisions.
SUSPICION = "balanced"

DECISIONS = [decision.value for decision in Decision]


class PhotoAssessment(models.Model):
    """One assessment of a photo: from a prediction's outputs, the kind of picture and what is known of the patient.

    A row never changes. Whatever becomes known later adds another row; `Photo.assessment` is the current one. Rows from
    before there were kinds of picture have no kind, case mix or answer by the picture alone.
    """

    class Source(models.TextChoices):
        """How the kind of picture is known."""

        TOLD = "told", _("told")
        RECOGNISED = "recognised", _("recognised from the picture")
        ASSUMED = "assumed", _("assumed: the classifier knows one kind only")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="assessments")
    prediction = models.ForeignKey("diagnoses.Prediction", on_delete=models.CASCADE, related_name="assessments")
    image_type = models.CharField(_("kind of picture"), max_length=40, choices=IMAGE_TYPE_CHOICES, blank=True)
    image_type_source = models.CharField(_("how the kind is known"), max_length=10, choices=Source.choices, blank=True)
    # Whether the picture looks like the other kind than was told.
    contradicted = models.BooleanField(_("kind contradicted by the picture"), default=False)
    # The case mix of the probabilities: {"name", "shares"}.
    case_mix = models.JSONField(_("case mix"), null=True, blank=True)
    # Calibrated probabilities in ISIC order (recognition.taxonomy.CODES); they add up to 1.
    probabilities = ArrayField(models.FloatField(), size=len(CODES))
    # The same without metadata.
    picture_alone = ArrayField(models.FloatField(), size=len(CODES), null=True, blank=True)
    diagnosis = DiagnosisField(_("top diagnosis"))
    confidence = models.FloatField(_("confidence"))
    malignant_score = models.FloatField(_("malignant score"), help_text=_("Sum of the probabilities of the cancers."))
    # The assessment as it was made. Older rows have none. Decision and score are copied to columns for lists and
    # constraints.
    decision = DecisionField(_("decision"), default="")
    picture_decision = DecisionField(_("decision by the picture alone"), default="")
    score = models.PositiveSmallIntegerField(_("score"), null=True, blank=True, help_text=_("1 to 10."))
    assessment = models.JSONField(_("assessment"), null=True, blank=True)
    # The words that were known of patient and spot, by field of `recognition.inference.metadata.Metadata`.
    metadata = models.JSONField(_("what was known"), default=dict, blank=True)
    # The fields among them that counted.
    used = ArrayField(models.CharField(max_length=30), verbose_name=_("what counted"), default=list, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("assessment")
        verbose_name_plural = _("assessments")
        ordering = ["-created", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1, malignant_score__gte=0, malignant_score__lte=1),
                name="assessment_scores_are_shares",
            ),
            models.CheckConstraint(
                condition=Q(probabilities__len=len(CODES))
                & (Q(picture_alone__isnull=True) | Q(picture_alone__len=len(CODES))),
                name="assessment_eight_probabilities",
            ),
            models.CheckConstraint(
                condition=Q(decision="", assessment__isnull=True, score__isnull=True)
                # In SQL a comparison with a missing key is null, and a check that is null passes.
                | Q(decision__in=DECISIONS, assessment__has_key="decision", decision=KT("assessment__decision"))
                & Q(assessment__isnull=False),
                name="assessment_assessed_whole",
            ),
            models.CheckConstraint(
                condition=Q(score__isnull=True)
                | Q(score__gte=SCORE_MIN, score__lte=SCORE_MAX) & ~Q(decision=Decision.NOT_ASSESSED.value),
                name="assessment_score_one_to_ten",
            ),
            models.CheckConstraint(
                condition=Q(
                    image_type="", image_type_source="", case_mix__isnull=True, picture_alone__isnull=True,
                    picture_decision="", contradicted=False,
                )
                | Q(
                    image_type_source__in=["told", "recognised", "assumed"], case_mix__isnull=False,
                    picture_alone__isnull=False, picture_decision__in=DECISIONS,
                )
                & ~Q(image_type=""),
                name="assessment_kind_whole",
            ),
        ]  # fmt: skip

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
    def picture_alone_by_code(self) -> dict[str, float] | None:
        """The eight probabilities of the picture alone in ISIC order; None for older rows."""
        return dict(zip(CODES, self.picture_alone, strict=True)) if self.picture_alone is not None else None

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
        """Whether a doctor should look, by the decision.

        Without a decision: whether the malignant score reaches the classifier's sealed threshold, independent of the
        top diagnosis. Without a threshold it is never suspicious.
        """
        if self.decision:
            return self.decision in {Decision.URGENT, Decision.SOON}
        blocks = image_type_blocks(self.prediction.classifier.manifest)
        points = blocks.get(self.image_type or DERMOSCOPIC, {}).get("operating_points", [])
        thresholds = [float(point["threshold"]) for point in points if point["name"] == SUSPICION]
        return any(self.malignant_score >= threshold for threshold in thresholds)
