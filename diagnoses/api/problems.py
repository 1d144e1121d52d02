"""The errors of the API: every error is `application/problem+json` (RFC 9457).

An error has `{type, title, status, detail, code}` and, for invalid input, `errors`. `code` is stable and meant for
programs; `detail` is meant for people and says what to do.
"""

import errno
import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as InvalidInput
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.permissions import NotAllowed
from accounts.services import ConsentRequired
from recognition.sandbox import PhotoRejected

logger = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
RETRY_SOON: Final = 5  # seconds; a restarting database or a busy machine is usually back by then
RETRY_LATER: Final = 300  # seconds; a full disk needs a person
# The storage is full. The request itself is valid (RELIABILITY R20).
STORAGE_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Problem(exceptions.APIException):
    """An error with status, code and text given where it is raised."""

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after: int | None = None, auth_header: str | None = None
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.wait = retry_after
        self.auth_header = auth_header


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn any exception of an API view into a problem response. Unexpected ones are logged and become a 500."""
    problem = _as_problem(error, context["request"])
    if problem is None:
        if settings.DEBUG:
            return None
        request = context["request"]
        logger.exception("An API request failed: %s %s", request.method, request.path)
        # Django does not see the exception any more, but error reporting and the test client wait for this signal.
        got_request_exception.send(sender=type(context.get("view")), request=request._request)
        problem = Problem(500, "server_error", gettext("Something went wrong on our side. Please try again later."))
    set_rollback()
    headers: dict[str, str] = {}
    if getattr(problem, "auth_header", None):
        headers["WWW-Authenticate"] = str(problem.auth_header)  # type: ignore[attr-defined]  # DRF sets it on the exception
    if getattr(problem, "wait", None):
        headers["Retry-After"] = str(int(problem.wait))  # type: ignore[attr-defined]  # only Throttled and Problem have it
    return Response(_body(problem), status=problem.status_code, headers=headers, content_type=CONTENT_TYPE)


def _as_problem(error: Exception, request: Request) -> exceptions.APIException | None:  # noqa: PLR0911 - a table, read from top to bottom
    """The API exception for any exception. None for an unexpected one."""
    match error:
        case exceptions.APIException():
            return error
        case PhotoRejected():
            return _rejection(error)
        case ConsentRequired():
            # A program cannot give consent: a person must read the text.
            address = request.build_absolute_uri(reverse("consent"))
            detail = gettext(
                "Before photos can be uploaded, please read what happens with them and agree to it: %(address)s"
            )
            return Problem(403, "consent_required", detail % {"address": address})
        case InvalidInput():
            # Django's ValidationError from a service: a rule that the serializer does not check.
            return exceptions.ValidationError(get_error_detail(error))
        case Http404():
            return exceptions.NotFound()
        case PermissionDenied() | NotAllowed():
            return exceptions.PermissionDenied()
        case RequestDataTooBig():
            return Problem(413, "request_too_large", gettext("This request is larger than we accept."))
        case SuspiciousOperation() | BadRequest() | MultiPartParserError() | UnreadablePostError() | RecursionError():
            # RecursionError: JSON that is nested thousands of levels deep. Nothing else here recurses.
            return exceptions.ParseError()
        case OSError() if error.errno in STORAGE_FULL:
            logger.error("The storage is full: an upload was refused.")
            detail = gettext("There is no room for another photo at the moment. Nothing was stored; please try later.")
            return Problem(507, "storage_full", detail, retry_after=RETRY_LATER)
        case OperationalError() | InterfaceError():
            logger.error("The database does not answer: %s", type(error).__name__)
            detail = gettext("The service is not available for a moment. Please try again in a few seconds.")
            return Problem(503, "unavailable", detail, retry_after=RETRY_SOON)
        case _:
            return None


def _rejection(error: PhotoRejected) -> Problem:
    detail = gettext(error.template) % error.params
    if error.is_our_fault:
        return Problem(503, error.code, detail, retry_after=RETRY_SOON)
    return Problem(413 if error.code == "too_large_bytes" else 422, error.code, detail)


def _body(problem: exceptions.APIException) -> dict[str, object]:
    body: dict[str, object] = {
        "type": "about:blank",  # RFC 9457: the status says the type; `code` says more
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
    }
    if isinstance(problem, exceptions.ValidationError):
        body["detail"] = gettext("Some of what was sent cannot be used; see errors.")
        body["code"] = "invalid"
        body["errors"] = list(_field_errors(problem.get_full_details()))
        return body
    detail = problem.detail
    body["detail"] = str(detail) if isinstance(detail, str) else str(problem.default_detail)
    code = problem.get_codes()
    body["code"] = code if isinstance(code, str) else problem.default_code
    return body


def _field_errors(details: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Flatten DRF's nested error details to one row per message; `field` is empty for the request as a whole."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield {"field": field, "code": str(details["code"]), "detail": str(details["message"])}
    elif isinstance(details, dict):
        for name, inner in details.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _field_errors(inner, f"{field}.{own}" if field and own else field or own)
    else:
        for inner in details:
            yield from _field_errors(inner, field)


NO_SUCH_ADDRESS: Final = _("There is nothing at this address. Every address of this API ends with a slash.")
