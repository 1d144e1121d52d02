"""API serializers of a photo's prediction, assessment, ground truth and failure, and the base class of photo views."""

from typing import Any, Final
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from diagnoses.api.base import ApiView
from diagnoses.fields import DECISION_CHOICES, DIAGNOSIS_CHOICES
from diagnoses.labels import DIAGNOSIS_NAMES, GATE_NAMES, GATE_REASONS, GROUND_TRUTH_SOURCES
from diagnoses.photos.models import Photo, PhotoAssessment, PhotoQuerySet
from recognition.inference.assessment import SCORE_MAX, SCORE_MIN, GateResult
from recognition.taxonomy import CODES

# One required number for each code, in ISIC order, so that the schema lists all eight.
ProbabilitiesSerializer: Final = type(
    "ProbabilitiesSerializer",
    (serializers.Serializer,),
    {"__doc__": "All eight, in ISIC order; they add up to 1."}
    | {code: serializers.FloatField(min_value=0, max_value=1) for code in CODES},
)


class PhotoView(ApiView):
    """Base of the views of photos: the visibility rule."""

    def get_queryset(self) -> PhotoQuerySet:
        """The photos this user may see. All others are a 404."""
        # Manifest and hash are not shown, and larger than the rest of the row.
        return (
            Photo.objects.visible_to(self.request.user)
            .for_display()
            .defer("assessment__prediction__classifier__manifest", "recognised_as__content_hash", "content_hash")
        )

    def photo(self, photo_id: UUID) -> Photo:
        """The photo, or 404."""
        return get_object_or_404(self.get_queryset(), pk=photo_id)


def diagnosis_named(code: str) -> dict[str, str]:
    """A code, with its name in the language of the request."""
    return {"code": code, "name": str(DIAGNOSIS_NAMES[code])}


def photo_url(serializer: serializers.BaseSerializer[Any], name: str, photo_id: object) -> str:
    """The absolute URL of a resource of a photo."""
    return reverse(name, args=[photo_id], request=serializer.context.get("request"))


class DiagnosisSerializer(serializers.Serializer[Any]):
    """One of the eight ISIC 2019 diagnoses."""

    code = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES)
    name = serializers.CharField()


class CaseMixSerializer(serializers.Serializer[Any]):
    """How often each diagnosis comes in the world that probabilities are about."""

    name = serializers.CharField()
    shares = ProbabilitiesSerializer()


class PredictedBySerializer(serializers.Serializer[Any]):
    """The classifier of a prediction."""

    version = serializers.CharField()
    sha256 = serializers.CharField()


class PredictionSerializer(serializers.Serializer[PhotoAssessment]):
    """The answer of one classifier to one photo, with what was known of patient and spot."""

    diagnosis = serializers.SerializerMethodField()
    confidence = serializers.FloatField(min_value=0, max_value=1)
    probabilities = serializers.SerializerMethodField()
    picture_alone = serializers.SerializerMethodField(
        help_text=_("The same without `metadata`; null for predictions from before it counted.")
    )
    case_mix = CaseMixSerializer(
        allow_null=True, help_text=_("What the probabilities are for; null for predictions from before it was stated.")
    )
    metadata = serializers.SerializerMethodField(
        help_text=_("What was known of patient and spot and changed the probabilities, as words by field.")
    )
    malignant_score = serializers.FloatField(
        min_value=0,
        max_value=1,
        help_text=_(
            "Sum of the probabilities of the cancers MEL, BCC and SCC at the case mix of the classifier; by it go "
            "advice and score."
        ),
    )
    classifier = PredictedBySerializer(source="prediction.classifier")
    heatmap_url = serializers.SerializerMethodField(
        help_text=_("A PNG to lay over the photo; null where nothing in it spoke for the diagnosis.")
    )
    created = serializers.DateTimeField()

    @extend_schema_field(DiagnosisSerializer)
    def get_diagnosis(self, assessment: PhotoAssessment) -> dict[str, str]:
        return diagnosis_named(assessment.diagnosis)

    @extend_schema_field(ProbabilitiesSerializer)
    def get_probabilities(self, assessment: PhotoAssessment) -> dict[str, float]:
        return assessment.by_code

    @extend_schema_field(ProbabilitiesSerializer(allow_null=True))
    def get_picture_alone(self, assessment: PhotoAssessment) -> dict[str, float] | None:
        return assessment.picture_alone_by_code

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_metadata(self, assessment: PhotoAssessment) -> dict[str, str]:
        return {name: assessment.metadata[name] for name in assessment.used}

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_heatmap_url(self, assessment: PhotoAssessment) -> str | None:
        heatmap = assessment.prediction.heatmap
        return photo_url(self, "api-photo-heatmap", assessment.photo_id) if heatmap else None


class GateResultSerializer(serializers.Serializer[GateResult]):
    """The result of one gate."""

    gate = serializers.ChoiceField(choices=list(GATE_NAMES.items()))
    passed = serializers.BooleanField()
    code = serializers.CharField(allow_blank=True, help_text=_("Why it was not passed; empty where it was. Stable."))
    detail = serializers.SerializerMethodField(help_text=_("The same for people, and what to do; empty where passed."))
    measured = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True, help_text=_("Sealed with the classifier."))

    def get_detail(self, result: GateResult) -> str:
        reason = GATE_REASONS.get(result.code)
        return f"{reason.why} {reason.remedy}" if reason else ""


class AssessmentSerializer(serializers.Serializer[Any]):
    """What the patient should do next, and the reasons. Never an all-clear."""

    decision = serializers.ChoiceField(
        choices=DECISION_CHOICES,
        help_text=_("`urgent`: within days; `soon`: within weeks; `not_assessed`: a check refused the picture."),
    )
    title = serializers.CharField(help_text=_("The advice in a few words."))
    detail = serializers.CharField(help_text=_("The advice in two or three sentences."))
    safety_net = serializers.CharField(help_text=_("Belongs beside every advice."))
    photograph_by = serializers.DateField(
        allow_null=True, help_text=_("With `monitor`: until when to photograph the spot again.")
    )
    score = serializers.IntegerField(
        min_value=SCORE_MIN,
        max_value=SCORE_MAX,
        allow_null=True,
        help_text=_("How much the picture resembles cancers, in ten steps; null where the classifier has none."),
    )
    prediction_set = DiagnosisSerializer(
        many=True,
        help_text=_("Diagnoses that the picture does not tell apart, the likeliest first; may be empty."),
    )
    gates = GateResultSerializer(many=True, help_text=_("All three checks, in their order."))


class GroundTruthSerializer(serializers.Serializer[Any]):
    """The known diagnosis of the lesion, and its source."""

    diagnosis = DiagnosisSerializer()
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field, not the attribute
        choices=list(GROUND_TRUTH_SOURCES.items())
    )
    reference = serializers.CharField(allow_blank=True, help_text=_("The data-set image this is; else empty."))


class FailureSerializer(serializers.Serializer[Any]):
    """Why there is no prediction."""

    code = serializers.CharField()
    detail = serializers.CharField()
    can_retry = serializers.BooleanField(help_text=_("Whether `POST …/retry/` may help."))
