"""Notifications in the API: list the user's own, mark them as read."""

from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Notification
from accounts.notification_texts import sentence, title
from accounts.services import mark_read
from diagnoses.api.base import ApiView
from diagnoses.api.paging import NewestFirst
from diagnoses.api.schema import LIST_OK, problems

LARGEST_ID: Final = 2**63 - 1  # the largest value of the column; the database refuses larger ones

UNREAD: Any = OpenApiParameter(
    "unread", OpenApiTypes.BOOL, description="`true`: only what has not been read.", required=False
)


class NotificationSerializer(serializers.Serializer[Notification]):
    """One notification of the user, in the language of the request."""

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
    """The notification that was read. Without an id: all of them."""

    id = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST_ID)


class ReadCountSerializer(serializers.Serializer[Any]):
    """How many notifications were unread before."""

    marked = serializers.IntegerField()


class NotificationsView(ApiView):
    """The notifications of the user."""

    serializer_class = NotificationSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Notification]:
        """Only the user's own, for every role."""
        rows = Notification.objects.filter(user_id=self.user.pk)
        return rows.unread() if self.request.query_params.get("unread") == "true" else rows

    @extend_schema(
        summary="List notifications, newest first",
        parameters=[UNREAD],
        responses={LIST_OK: NotificationSerializer(many=True), **problems(400, 401, 429)},
    )
    def get(self, request: Request) -> Response:
        """Your own notifications, read and unread."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ReadNotificationsView(ApiView):
    """Marks notifications as read."""

    serializer_class = ReadCountSerializer

    @extend_schema(
        summary="Mark notifications as read",
        request=ReadNotificationsSerializer,
        responses={200: ReadCountSerializer, **problems(400, 401, 415, 429)},
    )
    def post(self, request: Request) -> Response:
        """Marks one of your notifications by its id, or all of them. Their unsent e-mails are cancelled."""
        serializer = ReadNotificationsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        marked = mark_read(user=self.user, pk=serializer.validated_data.get("id"))
        return Response({"marked": marked})
