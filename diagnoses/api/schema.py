"""Own the words of the OpenAPI description that several views share."""

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from diagnoses.api.problems import CONTENT_TYPE
from diagnoses.api.serializers import ProblemSerializer

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=(
        "A key of your own for this upload, 1 to 200 printable ASCII characters without spaces. A repeat with the same "
        "key, file and fields makes no second photo and returns the first answer; with anything else it is refused."
    ),
)

# As a pair, like the problems beside it: drf-spectacular takes the smallest key for the answer that counts.
LIST_OK: Final = (200, "application/json")


def problems(*statuses: int) -> dict[Any, Any]:
    """The problem answers of an operation, for `extend_schema(responses=…)`."""
    return {
        (status, CONTENT_TYPE): OpenApiResponse(ProblemSerializer, description=HTTPStatus(status).phrase)
        for status in statuses
    }


def binary(content_type: str, description: str) -> dict[Any, Any]:
    """A file as answer."""
    return {(200, content_type): OpenApiResponse(OpenApiTypes.BINARY, description=description)}
