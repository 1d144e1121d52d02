"""The OpenAPI description: its pages, texts shared by several views, and the schema of errors."""

from http import HTTPStatus
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers

from diagnoses.api.problems import CONTENT_TYPE

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=(
        "A key of your own for this upload, 1 to 200 printable ASCII characters without spaces. A repeat with the same "
        "key, file and fields makes no second photo and returns the first answer; with anything else it is refused."
    ),
)


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One invalid field of the request."""

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


# The key is a pair, like those of the problems: drf-spectacular takes the smallest key as the main response.
LIST_OK: Final = (200, "application/json")


def problems(*statuses: int) -> dict[Any, Any]:
    """The problem answers of an operation, for `extend_schema(responses=…)`."""
    return {
        (status, CONTENT_TYPE): OpenApiResponse(ProblemSerializer, description=HTTPStatus(status).phrase)
        for status in statuses
    }


def binary(content_type: str, description: str) -> dict[Any, Any]:
    """A response that is a file."""
    return {(200, content_type): OpenApiResponse(OpenApiTypes.BINARY, description=description)}


class SchemaView(SpectacularAPIView):
    """The OpenAPI 3 description."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI."""

    url_name = "api-schema"
    template_name = "diagnoses/api/docs.html"
    title = "Teri API"
