"""The export of the user's own data in the API."""

from django.core.cache import cache
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.models import Notification
from diagnoses.api.base import ApiView
from diagnoses.api.problems import Problem
from diagnoses.api.schema import binary, problems
from diagnoses.personal_data.export import export_account
from diagnoses.photos.media import PRIVATE_HEADERS

EXPORT_PAUSE = 60
"""Seconds between two exports of one person, by page or API, because each export reads all their files."""


class ExportView(ApiView):
    """All data that is stored about the user."""

    # The response is a streamed ZIP, so there is no serializer.
    queryset = Notification.objects.none()
    pagination_class = None

    @extend_schema(
        summary="Take everything away",
        responses=binary("application/zip", "JSON and files of everything stored about you.") | problems(401, 429),
    )
    def get(self, request: Request) -> HttpResponseBase:
        """A ZIP of your account, spots, photos, results and readings. At most once a minute; it is audited."""
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
