"""Own the JSON of lesions and their reminders."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from diagnoses.models import BodyView, Lesion, Reminder
from diagnoses.models.fields import SITE_CHOICES
from diagnoses.models.reminder import MONTHS


class PlaceSerializer(serializers.Serializer[Any]):
    """A point on the drawing of the body."""

    view = serializers.ChoiceField(choices=BodyView.choices)
    x = serializers.FloatField(min_value=0, max_value=1, help_text=_("Share of the width of the drawing, from left."))
    y = serializers.FloatField(min_value=0, max_value=1, help_text=_("Share of its height, from the top."))


class LesionSerializer(serializers.Serializer[Lesion]):
    """One spot on one's own skin, followed over time."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, allow_blank=True)
    place = serializers.SerializerMethodField(help_text=_("Where on the body map; null: not placed."))
    created = serializers.DateTimeField()

    @extend_schema_field(PlaceSerializer(allow_null=True))
    def get_place(self, lesion: Lesion) -> dict[str, Any] | None:
        if not lesion.body_view:
            return None
        return {"view": lesion.body_view, "x": lesion.body_x, "y": lesion.body_y}


class NewLesionSerializer(serializers.Serializer[Any]):
    """A spot as it is to be: what is left out is empty."""

    name = serializers.CharField(max_length=100)
    anatom_site_general = serializers.ChoiceField(choices=SITE_CHOICES, required=False, allow_blank=True)
    place = PlaceSerializer(required=False, allow_null=True)


class NewReminderSerializer(serializers.Serializer[Any]):
    """After how many months."""

    months = serializers.ChoiceField(choices=[(months, str(months)) for months in MONTHS])


class ReminderSerializer(serializers.Serializer[Reminder]):
    """When the spot should be photographed again."""

    months = serializers.IntegerField()
    due = serializers.DateField()
    created = serializers.DateTimeField()
