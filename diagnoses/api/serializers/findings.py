"""Own the JSON of findings."""

from rest_framework import serializers

from diagnoses.models import Finding
from diagnoses.models.fields import DIAGNOSIS_CHOICES


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
