"""Own the JSON of reviews: what a patient reads of them, and the readings of clinicians, blind first."""

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from diagnoses.api.serializers.answers import DiagnosisSerializer, PredictionSerializer, diagnosis_named
from diagnoses.models import Photo, Reading
from diagnoses.models.fields import DIAGNOSIS_CHOICES
from diagnoses.models.reading import MONITOR_MONTHS
from diagnoses.services.readings.rules import OVERRIDE_REASON_MAX

NOTE_MAX: Final = 2000
"""Characters, as in the table."""


class OutcomeSerializer(serializers.Serializer[Any]):
    """What clinicians found, once it is settled."""

    answer = serializers.ChoiceField(choices=Reading.Answer.choices)
    diagnosis = serializers.SerializerMethodField()
    management = serializers.ChoiceField(choices=Reading.Management.choices, allow_blank=True)
    monitor_months = serializers.IntegerField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    recorded = serializers.DateTimeField()

    @extend_schema_field(DiagnosisSerializer(allow_null=True))
    def get_diagnosis(self, outcome: Any) -> dict[str, str] | None:
        return diagnosis_named(outcome.diagnosis) if outcome.diagnosis else None


class ReviewSerializer(serializers.Serializer[Any]):
    """Where a photo is with the clinicians."""

    state = serializers.ChoiceField(choices=Photo.ReviewState.choices)
    requested = serializers.DateTimeField(allow_null=True)
    closed = serializers.DateTimeField(allow_null=True)
    wants_a_visit = serializers.BooleanField(
        help_text=_("A clinician wants the spot examined in person; true also before the review is settled.")
    )
    outcome = OutcomeSerializer(allow_null=True, help_text=_("Null until the clinicians have settled it."))


class BlindAnswerSerializer(serializers.Serializer[Any]):
    """What a reader says before anything of the classifier is shown."""

    answer = serializers.ChoiceField(choices=Reading.Answer.choices)
    diagnosis = serializers.ChoiceField(
        choices=DIAGNOSIS_CHOICES, required=False, allow_blank=True, help_text=_("With the answer `diagnosis`.")
    )


class FinalAnswerSerializer(BlindAnswerSerializer):
    """What a reader says with the prediction in sight, and what should be done."""

    management = serializers.ChoiceField(choices=Reading.Management.choices, required=False, allow_blank=True)
    monitor_months = serializers.ChoiceField(
        choices=[(months, str(months)) for months in MONITOR_MONTHS], required=False, allow_null=True
    )
    override_reason = serializers.CharField(
        max_length=OVERRIDE_REASON_MAX,
        required=False,
        allow_blank=True,
        help_text=_("Needed where the diagnosis differs from the prediction."),
    )
    note = serializers.CharField(max_length=NOTE_MAX, required=False, allow_blank=True)
    second_reading = serializers.BooleanField(required=False, default=False)
    insist = serializers.BooleanField(
        required=False,
        default=False,
        help_text=_("Count it as a second reading where somebody else has settled the photo meanwhile."),
    )


class ReadingSerializer(serializers.Serializer[Reading]):
    """One's own reading, or one of a photo that one has read. Until the blind answer there is no prediction in it."""

    id = serializers.IntegerField()
    role = serializers.ChoiceField(choices=Reading.Role.choices)
    reader = serializers.CharField()
    begun = serializers.DateTimeField()
    blind_answer = serializers.ChoiceField(choices=Reading.Answer.choices, allow_blank=True)
    blind_diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES, allow_blank=True)
    revealed = serializers.DateTimeField(allow_null=True)
    prediction = serializers.SerializerMethodField(
        help_text=_("Null until the blind answer is given, and where the photo has none.")
    )
    answer = serializers.ChoiceField(choices=Reading.Answer.choices, allow_blank=True)
    diagnosis = serializers.ChoiceField(choices=DIAGNOSIS_CHOICES, allow_blank=True)
    management = serializers.ChoiceField(choices=Reading.Management.choices, allow_blank=True)
    monitor_months = serializers.IntegerField(allow_null=True)
    override_reason = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    recorded = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_prediction(self, reading: Reading) -> Any:
        if reading.revealed is None or reading.prediction is None:
            return None
        return PredictionSerializer(reading.prediction, context=self.context).data
