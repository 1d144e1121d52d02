"""Authentication of API clients by token (`Authorization: Token …`) or by the session of a signed-in browser."""

from typing import Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import User

LONGEST_TOKEN: Final = 200  # our tokens have 64 characters; anything longer is refused without a query


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """knox authentication that answers 401, not 500, to tokens that the database cannot store."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, object]:
        if len(token) > LONGEST_TOKEN or not token.isalnum():
            raise AuthenticationFailed(_("Invalid token."))
        user, row = super().authenticate_credentials(token)
        return user, row


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration is untyped
    """How OpenAPI describes the token."""

    target_class = "diagnoses.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word `Token`, a space, and the token that `POST /api/v1/token/` gave you.",
        }
