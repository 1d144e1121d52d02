"""Own the JSON of share links. The address is in the answer that makes one, and nowhere afterwards."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from diagnoses.models import ShareLink
from diagnoses.services.sharing import DAYS


class NewShareLinkSerializer(serializers.Serializer[Any]):
    """For how long, and for whom in one's own words."""

    days = serializers.ChoiceField(choices=[(days, str(days)) for days in DAYS])
    label = serializers.CharField(  # type: ignore[assignment]  # a field, not the attribute
        max_length=100, required=False, allow_blank=True
    )


class ShareLinkSerializer(serializers.Serializer[ShareLink]):
    """An address by which somebody without an account reads one result until it expires."""

    id = serializers.UUIDField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # a field, not the attribute
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField()
    revoked = serializers.DateTimeField(allow_null=True)
    times_opened = serializers.IntegerField()
    last_opened = serializers.DateTimeField(allow_null=True)


class MadeShareLinkSerializer(ShareLinkSerializer):
    """The same with its address, which is shown this once."""

    url = serializers.URLField(help_text=_("Keep it: it cannot be had a second time."))
