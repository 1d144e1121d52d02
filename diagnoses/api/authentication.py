"""Own how a client of the API says who it is: `Authorization: Token …`, or the session of a signed-in browser."""

from typing import Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import User

LONGEST_TOKEN: Final = 200  # ours have 64 characters; nothing longer is worth a query


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """knox, made deaf to tokens that no database could hold: they are wrong, not a server error."""

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
