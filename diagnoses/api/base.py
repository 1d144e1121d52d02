"""What all views of the API share: the base view, throttles, the answer to unknown addresses."""

from collections.abc import Iterable
from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle, UserRateThrottle

from accounts.models import User
from diagnoses.api.problems import NO_SUCH_ADDRESS, Problem


class UploadThrottle(UserRateThrottle):
    """Throttle of uploads: each one costs a decode in the sandbox and a prediction."""

    scope = "upload"


class SignInThrottle(AnonRateThrottle):
    """Throttle of token requests, successful or not. allauth counts wrong passwords too."""

    scope = "anon"


class OneAnswer(DefaultContentNegotiation):
    """Ignores the `Accept` header: there is only one representation, so no request gets a 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, str(only.media_type)


class ApiView(generics.GenericAPIView[Any]):
    """A view of the API. Authentication, permission (signed in) and throttle come from settings: deny by default."""

    content_negotiation_class = OneAnswer
    # No OPTIONS: it would describe views to anybody. The schema does that better.
    http_method_names = ["get", "head", "post", "delete"]
    metadata_class = None

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Forbid caching of every response."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "private, no-store")
        return answer

    @property
    def user(self) -> User:
        """The signed-in user. Only for views that require authentication."""
        return cast(User, self.request.user)


@extend_schema(exclude=True)
class NoSuchAddress(ApiView):
    """Answers 404 as a problem, for every user and method."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Raise NotFound before the method is checked."""
        raise Problem(404, "not_found", str(NO_SUCH_ADDRESS))
