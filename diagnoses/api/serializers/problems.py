"""Own the JSON of errors."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


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
