"""Own what a program may do about one's own account: read the news, take everything away."""

from typing import Any

from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Notification
from accounts.services import mark_read
from diagnoses.api.paging import NewestFirst
from diagnoses.api.problems import Problem
from diagnoses.api.schema import LIST_OK, binary, problems
from diagnoses.api.serializers import NotificationSerializer, ReadCountSerializer, ReadNotificationsSerializer
from diagnoses.api.views.base import ApiView
from diagnoses.media import PRIVATE_HEADERS
from diagnoses.services.account_data import export_account

EXPORT_PAUSE = 60
"""Seconds between two exports of one person, whatever door they come through: each reads every file of theirs."""

UNREAD: Any = OpenApiParameter(
    "unread", OpenApiTypes.BOOL, description="`true`: only what has not been read.", required=False
)


class NotificationsView(ApiView):
    """What oneself was told."""

    serializer_class = NotificationSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Notification]:
        """One's own alone, whatever the role."""
        rows = Notification.objects.filter(user_id=self.user.pk)
        return rows.unread() if self.request.query_params.get("unread") == "true" else rows

    @extend_schema(
        summary="List notifications, newest first",
        parameters=[UNREAD],
        responses={LIST_OK: NotificationSerializer(many=True), **problems(400, 401, 429)},
    )
    def get(self, request: Request) -> Response:
        """Your own, read and unread."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ReadNotificationsView(ApiView):
    """Marking as read."""

    serializer_class = ReadCountSerializer

    @extend_schema(
        summary="Mark notifications as read",
        request=ReadNotificationsSerializer,
        responses={200: ReadCountSerializer, **problems(400, 401, 415, 429)},
    )
    def post(self, request: Request) -> Response:
        """One of your own by its id, or all of them. An e-mail that has not gone out yet is not sent any more."""
        serializer = ReadNotificationsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        marked = mark_read(user=self.user, pk=serializer.validated_data.get("id"))
        return Response({"marked": marked})


class ExportView(ApiView):
    """Everything that is stored about oneself."""

    # The ZIP is streamed and no row of anything.
    queryset = Notification.objects.none()
    pagination_class = None

    @extend_schema(
        summary="Take everything away",
        responses=binary("application/zip", "JSON and files of everything stored about you.") | problems(401, 429),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """A ZIP of your account, spots, photos, results and readings. Written into the audit log; once a minute."""
        if not cache.add(f"export:{self.user.pk}", 1, EXPORT_PAUSE):
            detail = gettext("A download was started just now. Please wait a minute before you start another one.")
            raise Problem(429, "throttled", detail, retry_after=EXPORT_PAUSE)
        return StreamingHttpResponse(
            export_account(user=self.user, by=self.user),
            content_type="application/zip",
            headers={
                **PRIVATE_HEADERS,
                "Content-Disposition": f'attachment; filename="teri-{timezone.localdate():%Y-%m-%d}.zip"',
                "X-Accel-Buffering": "no",
            },
        )
