"""Own the answer to addresses that do not exist."""

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from diagnoses.api.problems import NO_SUCH_ADDRESS, Problem
from diagnoses.api.views.base import ApiView


@extend_schema(exclude=True)
class NoSuchAddress(ApiView):
    """404 as a problem, for whoever asks and however."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Refuse before anything else: the method does not matter."""
        raise Problem(404, "not_found", str(NO_SUCH_ADDRESS))
