"""Signing in to and out of the API. allauth's adapter checks the passwords, so that its rate limits apply."""

from typing import Any, Final

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.app_settings import EmailVerificationMethod
from allauth.account.utils import has_verified_email
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from accounts.models import User
from diagnoses.api.base import ApiView, SignInThrottle
from diagnoses.api.problems import Problem
from diagnoses.api.schema import problems

LONGEST_PASSWORD: Final = 1000  # hashing takes time proportional to the length
PASSWORD_STYLE: Final = {"input_type": "password"}

AUTH_HEADER: Final = "Token"
TOO_MANY: Final = "too_many_login_attempts"  # the error code of allauth's rate limits
LIMIT_WINDOW: Final = 300  # seconds; the longer of the two windows in ACCOUNT_RATE_LIMITS
TOKENS_PER_USER: Final = 20  # a new token deletes the oldest above this number, for scripts that never log out


class CredentialsSerializer(serializers.Serializer[Any]):
    """The credentials of a token request."""

    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=LONGEST_PASSWORD, trim_whitespace=False, style=PASSWORD_STYLE)
    code = serializers.CharField(
        max_length=20,
        required=False,
        allow_blank=True,
        help_text=_("The code of the authenticator app, or a recovery code; only where the account has a second step."),
    )


class TokenSerializer(serializers.Serializer[Any]):
    """A token. It is shown once and stored as a hash."""

    token = serializers.CharField()
    expiry = serializers.DateTimeField()


class TokenView(ApiView):
    """A token for an e-mail address and a password; deleting the token is logging out."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        # No authentication: the client has no token, or an expired one that must not block the request.
        return [] if self._signs_in() else super().get_authenticators()

    def get_permissions(self) -> list[Any]:
        return [AllowAny()] if self._signs_in() else [IsAuthenticated()]

    def get_throttles(self) -> list[BaseThrottle]:
        return [SignInThrottle()] if self._signs_in() else super().get_throttles()

    def _signs_in(self) -> bool:
        return getattr(self.request, "method", None) == "POST"

    @extend_schema(
        summary="Get a token",
        request=CredentialsSerializer,
        responses={200: TokenSerializer, **problems(400, 401, 415, 429)},
        examples=[
            OpenApiExample(
                "Demo patient", value={"email": "patient@demo.local", "password": "teri-demo"}, request_only=True
            )
        ],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Unknown address, wrong password and switched-off account get the same answer."""
        serializer = CredentialsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        credentials = serializer.validated_data
        user = _authenticate(request._request, credentials["email"], credentials["password"])
        _check_second_step(user, credentials.get("code", ""))
        token, secret = AuthToken.objects.create(user=user)
        newest = AuthToken.objects.filter(user=user).order_by("-created").values("pk")[:TOKENS_PER_USER]
        AuthToken.objects.filter(user=user).exclude(pk__in=newest).delete()
        user_logged_in.send(sender=User, request=request._request, user=user)
        return Response(TokenSerializer({"token": secret, "expiry": token.expiry}).data)

    @extend_schema(summary="Log out", request=None, responses={204: None, **problems(400, 401)})
    def delete(self, request: Request) -> Response:
        """Deletes the token of this request."""
        if not isinstance(request.auth, AuthToken):
            raise Problem(400, "no_token", gettext("This request came without a token, so there is none to delete."))
        request.auth.delete()
        return Response(status=204)


def _authenticate(request: HttpRequest, email: str, password: str) -> User:
    """The user with these credentials. Raises Problem if there is none."""
    adapter = get_adapter()
    try:
        user = adapter.authenticate(request, email=email, password=password)
    except ValidationError as error:
        raise _too_many() if error.code == TOO_MANY else _wrong() from error
    # allauth also returns switched-off accounts, because it has a page for them. Here they are refused.
    if not isinstance(user, User) or not user.is_active:
        raise _wrong()
    if app_settings.EMAIL_VERIFICATION == EmailVerificationMethod.MANDATORY and not has_verified_email(user):
        detail = gettext("Please confirm your e-mail address first: sign in on the website and follow our link.")
        raise Problem(403, "email_unverified", detail)
    return user


def _check_second_step(user: User, code: str) -> None:
    """Check the second factor if the account has one: a token must not bypass it."""
    if not is_mfa_enabled(user):
        return
    if not code:
        detail = gettext("This account has a second step. Send the code of your authenticator app as “code” as well.")
        raise Problem(401, "second_factor_required", detail, auth_header=AUTH_HEADER)
    form = AuthenticateForm(data={"code": code}, user=user)
    if form.is_valid():
        form.authenticator.record_usage()
    elif form.has_error("code", TOO_MANY):
        raise _too_many()
    else:
        detail = gettext("This code is not right, or not any more.")
        raise Problem(401, "second_factor_wrong", detail, auth_header=AUTH_HEADER)


def _wrong() -> Problem:
    detail = gettext("The e-mail address and the password do not fit together.")
    return Problem(401, "invalid_credentials", detail, auth_header=AUTH_HEADER)


def _too_many() -> Problem:
    detail = gettext("Too many wrong passwords. Please wait five minutes and try again.")
    return Problem(429, TOO_MANY, detail, retry_after=LIMIT_WINDOW)
