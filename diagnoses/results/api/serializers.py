"""Serializers of photos: upload, receipt, reported history, and the photo with its result."""

from typing import Any, Final

from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from diagnoses.fields import IMAGE_TYPE_CHOICES, SEX_CHOICES, SITE_CHOICES
from diagnoses.labels import SAFETY_NET, failure
from diagnoses.lesions.models import Lesion
from diagnoses.photos.api import (
    AssessmentSerializer,
    FailureSerializer,
    GroundTruthSerializer,
    PredictionSerializer,
    diagnosis_named,
    photo_url,
)
from diagnoses.photos.models import Photo, PhotoAssessment, PhotoHistory
from diagnoses.results.advice import advice_on
from diagnoses.results.result import current_advice
from recognition.taxonomy import AGE_MAX, AGE_MIN

Source = PhotoAssessment.Source

NOTE_MAX: Final = 500
"""Characters. The database column has the same limit."""


class OwnerSerializer(serializers.Serializer[User]):
    """The owner of a photo."""

    id = serializers.IntegerField()
    email = serializers.EmailField()


class HistorySerializer(serializers.Serializer[PhotoHistory]):
    """The patient's answers about the spot. Null means not answered."""

    duration = serializers.ChoiceField(choices=PhotoHistory.Duration.choices, required=False, allow_blank=True)
    change_size = serializers.BooleanField(required=False, allow_null=True, default=None)
    change_shape = serializers.BooleanField(required=False, allow_null=True, default=None)
    change_colour = serializers.BooleanField(required=False, allow_null=True, default=None)
    raised = serializers.BooleanField(required=False, allow_null=True, default=None)
    diameter_7mm = serializers.BooleanField(required=False, allow_null=True, default=None)
    inflamed = serializers.BooleanField(required=False, allow_null=True, default=None)
    bleeding = serializers.BooleanField(required=False, allow_null=True, default=None)
    itch = serializers.BooleanField(required=False, allow_null=True, default=None)
    pain = serializers.BooleanField(required=False, allow_null=True, default=None)
    note = serializers.CharField(max_length=NOTE_MAX, required=False, allow_blank=True)


class ImageTypeSerializer(serializers.Serializer[Any]):
    """How a picture was taken."""

    image_type = serializers.ChoiceField(
        choices=IMAGE_TYPE_CHOICES, allow_blank=True, help_text=_("Empty: it is recognised from the picture.")
    )


class ToldHistorySerializer(HistorySerializer):
    """The reported history with its checklist score."""

    told = serializers.DateTimeField(source="created", help_text=_("Earlier answers are kept, and no longer count."))
    checklist_score = serializers.IntegerField(
        min_value=0, max_value=10, help_text=_("The weighted 7-point checklist; from 3 on a doctor should look.")
    )
    needs_a_doctor = serializers.BooleanField(
        help_text=_("Whether what the patient says is reason enough, whatever the picture looks like.")
    )


class UploadSerializer(HistorySerializer):
    """A new photo and what is known about the spot. Leave out what is unknown."""

    # The sandbox (recognition.sandbox) checks whether the file is a picture or empty, not this field.
    image = serializers.FileField(allow_empty_file=True, help_text=_("JPEG, PNG or WebP, at most 20 MB."))
    lesion = serializers.PrimaryKeyRelatedField(
        queryset=Lesion.objects.none(), required=False, allow_null=True, help_text=_("One of your own lesions.")
    )
    age_approx = serializers.IntegerField(min_value=AGE_MIN, max_value=AGE_MAX, required=False, allow_null=True)
    sex = serializers.ChoiceField(choices=SEX_CHOICES, required=False, allow_blank=True)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, required=False, allow_blank=True)
    image_type = serializers.ChoiceField(choices=IMAGE_TYPE_CHOICES, required=False, allow_blank=True)

    def __init__(self, *args: Any, owner: User | None = None, **kwargs: Any) -> None:
        """`owner` limits the lesions: lesions of other people are not found."""
        super().__init__(*args, **kwargs)
        if owner is not None:
            self.fields["lesion"].queryset = Lesion.objects.filter(owner=owner)  # type: ignore[attr-defined]  # a related field


class ReceiptSerializer(serializers.Serializer[Photo]):
    """The response to an upload: only fields that never change, so that a repeated upload gets the same response."""

    id = serializers.UUIDField()
    status = serializers.SerializerMethodField(help_text=_("Always `queued`; ask at `url` for what became of it."))
    url = serializers.SerializerMethodField()
    created = serializers.DateTimeField()
    width = serializers.IntegerField(help_text=_("Of the stored picture, in pixels, upright."))
    height = serializers.IntegerField()
    sha256 = serializers.CharField(help_text=_("Of the stored picture, a clean re-encode of what was sent."))
    original_sha256 = serializers.CharField(help_text=_("Of the file as it was sent."))
    image_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=[(Photo.Status.QUEUED.value, Photo.Status.QUEUED.label)]))
    def get_status(self, photo: Photo) -> str:
        return Photo.Status.QUEUED.value

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_image_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo-image", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo-thumbnail", photo.pk)


class PhotoSerializer(serializers.Serializer[Photo]):
    """A photo, the state of its analysis, and its result."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Photo.Status.choices)
    url = serializers.SerializerMethodField()
    created = serializers.DateTimeField()
    queued = serializers.DateTimeField(help_text=_("Since when it is, or was last, waiting for its analysis."))
    owner = OwnerSerializer()
    lesion = serializers.UUIDField(source="lesion_id", allow_null=True)
    file_name = serializers.CharField(source="shown_name", help_text=_("The name it was sent under, made harmless."))
    age_approx = serializers.IntegerField(allow_null=True)
    sex = serializers.ChoiceField(choices=SEX_CHOICES, allow_blank=True)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, allow_blank=True)
    image_type = serializers.ChoiceField(
        source="image_type_now",
        choices=IMAGE_TYPE_CHOICES,
        allow_blank=True,
        help_text=_("How the picture was taken: as told, else as recognised; empty while nobody knows."),
    )
    image_type_source = serializers.SerializerMethodField(help_text=_("How that is known; null while it is not."))
    contradicted = serializers.SerializerMethodField(
        help_text=_("Whether the picture looks clearly like the other kind than was told.")
    )
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    sha256 = serializers.CharField()
    original_sha256 = serializers.CharField()
    image_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    assessment = serializers.SerializerMethodField(
        help_text=_("Null until there is a prediction, and for predictions from before there were assessments.")
    )
    prediction = serializers.SerializerMethodField(
        help_text=_(
            "Null until there is one. Where `assessment.decision` is `not_assessed` it is kept for clinicians and "
            "administrators and null for everybody else, because it is no answer."
        )
    )
    ground_truth = serializers.SerializerMethodField()
    failure = serializers.SerializerMethodField()
    history = serializers.SerializerMethodField(help_text=_("What the patient says of the spot; null: nothing."))
    review_state = serializers.ChoiceField(
        choices=Photo.ReviewState.choices, help_text=_("Whose turn it is among the clinicians.")
    )
    review_requested = serializers.DateTimeField(
        allow_null=True, help_text=_("When the patient asked clinicians to look at it.")
    )

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_image_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo-image", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, photo: Photo) -> str:
        return photo_url(self, "api-photo-thumbnail", photo.pk)

    @extend_schema_field(
        serializers.ChoiceField(
            choices=[(source.value, source.label) for source in (Source.TOLD, Source.RECOGNISED)], allow_null=True
        )
    )
    def get_image_type_source(self, photo: Photo) -> str | None:
        return photo.image_type_source or None

    def get_contradicted(self, photo: Photo) -> bool:
        return photo.assessment is not None and photo.assessment.contradicted

    @extend_schema_field(AssessmentSerializer(allow_null=True))
    def get_assessment(self, photo: Photo) -> Any:
        assessment = _assessment_now(photo)
        assessed = assessment.assessed if assessment is not None else None
        if assessment is None or assessed is None:
            return None
        # As on the page, the texts follow the clinical outcome. The classifier's fields do not change.
        advice = current_advice(photo) or advice_on(photo, assessment)
        codes = assessed.prediction_set if self._may_read(assessment) else ()
        return self._assessment.to_representation(
            {
                # The decision after the reported history, which may override the picture.
                "decision": photo.decision or assessed.decision.value,
                "title": advice.title,
                "detail": advice.detail,
                "safety_net": str(SAFETY_NET),
                "photograph_by": advice.photograph_by,
                "score": assessed.score,
                "prediction_set": [diagnosis_named(code) for code in codes],
                "gates": assessed.gates,
            }
        )

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_prediction(self, photo: Photo) -> Any:
        assessment = _assessment_now(photo)
        if assessment is None or not self._may_read(assessment):
            return None
        return self._prediction.to_representation(assessment)

    def _may_read(self, assessment: PhotoAssessment) -> bool:
        """Whether the user may see the answer. Only clinicians see the answer to a refused picture."""
        user = self.context["request"].user
        return not assessment.is_refused or (isinstance(user, User) and user.sees_all_patients)

    @extend_schema_field(GroundTruthSerializer(allow_null=True))
    def get_ground_truth(self, photo: Photo) -> dict[str, object] | None:
        known = photo.ground_truth
        if known is None:
            return None
        return {"diagnosis": diagnosis_named(known.diagnosis), "source": known.source, "reference": known.reference}

    @extend_schema_field(FailureSerializer(allow_null=True))
    def get_failure(self, photo: Photo) -> dict[str, object] | None:
        if photo.status != Photo.Status.FAILED:
            return None
        words = failure(photo.failure_code)
        return {"code": photo.failure_code, "detail": str(words.detail), "can_retry": words.retry}

    @extend_schema_field(ToldHistorySerializer(allow_null=True))
    def get_history(self, photo: Photo) -> Any:
        history = photo.history
        return self._history.to_representation(history) if history is not None else None

    # Creating a serializer copies its fields, so a list of photos creates each of these once.

    @cached_property
    def _assessment(self) -> AssessmentSerializer:
        return AssessmentSerializer(context=self.context)

    @cached_property
    def _prediction(self) -> PredictionSerializer:
        return PredictionSerializer(context=self.context)

    @cached_property
    def _history(self) -> ToldHistorySerializer:
        return ToldHistorySerializer()


def _assessment_now(photo: Photo) -> PhotoAssessment | None:
    """The current assessment. None while the photo is analysed again, although the earlier one is still stored."""
    return photo.assessment if photo.status == Photo.Status.PREDICTED else None
