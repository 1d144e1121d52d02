"""Own the JSON of signing in, of people and of what they are told."""

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Notification, User
from accounts.news import sentence, title

LONGEST_PASSWORD: Final = 1000  # hashing is linear in length; nobody's password is a book
LARGEST_ID: Final = 2**63 - 1  # what the column holds; a larger one would be an error of the database
PASSWORD_STYLE: Final = {"input_type": "password"}


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


class OwnerSerializer(serializers.Serializer[User]):
    """Whose photo it is."""

    id = serializers.IntegerField()
    email = serializers.EmailField()


class NotificationSerializer(serializers.Serializer[Notification]):
    """One piece of news for oneself, in the language of the request."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Notification.Kind.choices)
    title = serializers.SerializerMethodField()
    detail = serializers.SerializerMethodField()
    subject = serializers.CharField(help_text=_("What it is about: `photo:` or `lesion:` and an id."))
    url = serializers.SerializerMethodField(help_text=_("The page it leads to."))
    created = serializers.DateTimeField()
    read = serializers.DateTimeField(allow_null=True)

    def get_title(self, notification: Notification) -> str:
        return title(notification)

    def get_detail(self, notification: Notification) -> str:
        return sentence(notification)

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, notification: Notification) -> str:
        request = self.context.get("request")
        return request.build_absolute_uri(notification.path) if request is not None else notification.path


class ReadNotificationsSerializer(serializers.Serializer[Any]):
    """Which news was read; without an id all of it."""

    id = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST_ID)


class ReadCountSerializer(serializers.Serializer[Any]):
    """How many were unread until now."""

    marked = serializers.IntegerField()
