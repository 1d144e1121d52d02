"""How allauth signs people up and in here."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from knox.models import AuthToken

from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Sign-up makes patients, whatever else the form was sent (R24); addresses are kept in lower case."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        user.email = form.cleaned_data["email"].lower()
        if password := form.cleaned_data.get("password1"):
            user.set_password(password)
        else:
            user.set_unusable_password()
        if commit:
            user.save()
        return user

    def set_password(self, user: User, password: str) -> None:
        """Change or reset: whoever holds a token made with the old password is out, as other sessions are (R12)."""
        super().set_password(user, password)
        AuthToken.objects.filter(user=user).delete()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords by account alone (R11).

        allauth puts the Host header in front, so that every made-up port would have its own five tries.
        """
        return str(credentials.get("email") or credentials.get("username") or "").strip().lower()
