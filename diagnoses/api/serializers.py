"""Own the JSON of the API: what is read from requests and what is written into answers.

Every field is listed by hand. What a request carries besides these changes nothing (RELIABILITY R24).
"""

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from accounts.models import User
from diagnoses.advice import advice_on
from diagnoses.inference.assessment import SCORE_MAX, SCORE_MIN, GateResult
from diagnoses.models import Finding, Lesion, Photo, Prediction
from diagnoses.models.fields import DECISION_CHOICES, DIAGNOSIS_CHOICES, SEX_CHOICES, SITE_CHOICES
from diagnoses.taxonomy import AGE_MAX, AGE_MIN, CODES
from diagnoses.texts import DIAGNOSIS_NAMES, GATE_NAMES, GATE_REASONS, GROUND_TRUTH_SOURCES, SAFETY_NET, failure

LONGEST_PASSWORD: Final = 1000  # hashing is linear in length; nobody's password is a book
PASSWORD_STYLE: Final = {"input_type": "password"}


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One field of the request that cannot be used."""

    field = serializers.CharField(help_text=_("Name of the field; empty when the request as a whole is meant."))
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An error, as RFC 9457 has it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text=_("For people: what happened and what to do."))
    code = serializers.CharField(help_text=_("For programs: stable."))
    errors = ProblemErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # a field, not the property


class CredentialsSerializer(serializers.Serializer[Any]):
    """Who wants a token."""

    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=LONGEST_PASSWORD, trim_whitespace=False, style=PASSWORD_STYLE)
    code = serializers.CharField(
        max_length=20,
        required=False,
        allow_blank=True,
        help_text=_("The code of the authenticator app, or a recovery code; only where the account has a second step."),
    )


class TokenSerializer(serializers.Serializer[Any]):
    """A token. It is shown once and stored as a hash."""

    token = serializers.CharField()
    expiry = serializers.DateTimeField()


class UploadSerializer(serializers.Serializer[Any]):
    """A new photo. What is unknown is left out."""

    # Whether it is a picture is intake's question (diagnoses.intake), not a form field's; so is its emptiness.
    image = serializers.FileField(allow_empty_file=True, help_text=_("JPEG, PNG or WebP, at most 20 MB."))
    lesion = serializers.PrimaryKeyRelatedField(
        queryset=Lesion.objects.none(), required=False, allow_null=True, help_text=_("One of your own lesions.")
    )
    age_approx = serializers.IntegerField(min_value=AGE_MIN, max_value=AGE_MAX, required=False, allow_null=True)
    sex = serializers.ChoiceField(choices=SEX_CHOICES, required=False, allow_blank=True)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, required=False, allow_blank=True)

    def __init__(self, *args: Any, owner: User | None = None, **kwargs: Any) -> None:
        """`owner` is whose lesions may be named: somebody else's do not exist here."""
        super().__init__(*args, **kwargs)
        if owner is not None:
            self.fields["lesion"].queryset = Lesion.objects.filter(owner=owner)  # type: ignore[attr-defined]  # a related field


class DiagnosisSerializer(serializers.Serializer[Any]):
    """One of the eight ISIC 2019 diagnoses."""

    code = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES)
    name = serializers.CharField()


# One required number per code, in ISIC order, so that the schema names all eight.
ProbabilitiesSerializer: Final = type(
    "ProbabilitiesSerializer",
    (serializers.Serializer,),
    {"__doc__": "All eight, in ISIC order; they add up to 1."}
    | {code: serializers.FloatField(min_value=0, max_value=1) for code in CODES},
)


class PredictedBySerializer(serializers.Serializer[Any]):
    """The classifier that said so."""

    version = serializers.CharField()
    sha256 = serializers.CharField()


class PredictionSerializer(serializers.Serializer[Prediction]):
    """What one classifier says of one photo."""

    diagnosis = serializers.SerializerMethodField()
    confidence = serializers.FloatField(min_value=0, max_value=1)
    probabilities = serializers.SerializerMethodField()
    malignant_score = serializers.FloatField(
        min_value=0, max_value=1, help_text=_("Sum of the probabilities of the cancers: MEL, BCC and SCC.")
    )
    classifier = PredictedBySerializer()
    heatmap_url = serializers.SerializerMethodField(
        help_text=_("A PNG to lay over the photo; null where nothing in it spoke for the diagnosis.")
    )
    created = serializers.DateTimeField()

    @extend_schema_field(DiagnosisSerializer)
    def get_diagnosis(self, prediction: Prediction) -> dict[str, str]:
        return _diagnosis(prediction.diagnosis)

    @extend_schema_field(ProbabilitiesSerializer)
    def get_probabilities(self, prediction: Prediction) -> dict[str, float]:
        return prediction.by_code

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_heatmap_url(self, prediction: Prediction) -> str | None:
        return _photo_url(self, "api-photo-heatmap", prediction.photo_id) if prediction.heatmap else None


class GateResultSerializer(serializers.Serializer[GateResult]):
    """How the picture met one check."""

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
    """What a person should do next, and what it rests on. Never an all-clear."""

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
    """What the lesion is, as far as anybody knows, and how that is known."""

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


class OwnerSerializer(serializers.Serializer[User]):
    """Whose photo it is."""

    id = serializers.IntegerField()
    email = serializers.EmailField()


class ReceiptSerializer(serializers.Serializer[Photo]):
    """The answer to an upload: only what never changes again, so that a repeat gets the very same answer."""

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
        return _photo_url(self, "api-photo", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_image_url(self, photo: Photo) -> str:
        return _photo_url(self, "api-photo-image", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, photo: Photo) -> str:
        return _photo_url(self, "api-photo-thumbnail", photo.pk)


class PhotoSerializer(serializers.Serializer[Photo]):
    """A photo, the state of its analysis, and what is known of it."""

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

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, photo: Photo) -> str:
        return _photo_url(self, "api-photo", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_image_url(self, photo: Photo) -> str:
        return _photo_url(self, "api-photo-image", photo.pk)

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, photo: Photo) -> str:
        return _photo_url(self, "api-photo-thumbnail", photo.pk)

    @extend_schema_field(AssessmentSerializer(allow_null=True))
    def get_assessment(self, photo: Photo) -> Any:
        prediction = _prediction_now(photo)
        assessed = prediction.assessed if prediction is not None else None
        if prediction is None or assessed is None:
            return None
        advice = advice_on(photo, prediction)
        return AssessmentSerializer(
            {
                "decision": assessed.decision.value,
                "title": advice.title,
                "detail": advice.detail,
                "safety_net": str(SAFETY_NET),
                "photograph_by": advice.photograph_by,
                "score": assessed.score,
                "prediction_set": [_diagnosis(code) for code in assessed.prediction_set if self._may_read(prediction)],
                "gates": assessed.gates,
            }
        ).data

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_prediction(self, photo: Photo) -> Any:
        prediction = _prediction_now(photo)
        if prediction is None or not self._may_read(prediction):
            return None
        return PredictionSerializer(prediction, context=self.context).data

    def _may_read(self, prediction: Prediction) -> bool:
        """An answer to a picture that was refused is for those who know what it is worth."""
        user = self.context["request"].user
        return not prediction.is_refused or (isinstance(user, User) and user.sees_all_patients)

    @extend_schema_field(GroundTruthSerializer(allow_null=True))
    def get_ground_truth(self, photo: Photo) -> dict[str, object] | None:
        known = photo.ground_truth
        if known is None:
            return None
        return {"diagnosis": _diagnosis(known.diagnosis), "source": known.source, "reference": known.reference}

    @extend_schema_field(FailureSerializer(allow_null=True))
    def get_failure(self, photo: Photo) -> dict[str, object] | None:
        if photo.status != Photo.Status.FAILED:
            return None
        words = failure(photo.failure_code)
        return {"code": photo.failure_code, "detail": str(words.detail), "can_retry": words.retry}


class LesionSerializer(serializers.Serializer[Lesion]):
    """One spot on one's own skin, followed over time."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=100)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, required=False, allow_blank=True)
    created = serializers.DateTimeField(read_only=True)


class FindingSerializer(serializers.Serializer[Finding]):
    """What a clinician or a pathologist says a lesion is."""

    id = serializers.IntegerField(read_only=True)
    diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field, not the attribute
        choices=Finding.Source.choices
    )
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    recorded_by = serializers.CharField(read_only=True)
    created = serializers.DateTimeField(read_only=True)


def _prediction_now(photo: Photo) -> Prediction | None:
    """The answer as it stands: an earlier one stays stored while the photo is analysed again, but is not it."""
    return photo.prediction if photo.status == Photo.Status.PREDICTED else None


def _diagnosis(code: str) -> dict[str, str]:
    return {"code": code, "name": str(DIAGNOSIS_NAMES[code])}


def _photo_url(serializer: serializers.BaseSerializer[Any], name: str, photo_id: object) -> str:
    return reverse(name, args=[photo_id], request=serializer.context.get("request"))
