"""The allauth adapter: how people sign up and sign in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.translation import get_language
from knox.models import AuthToken

from accounts.middleware import activate
from accounts.models import Language, User
from accounts.services.language import in_language_of


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Every sign-up makes a patient, whatever other fields were sent (R24). Addresses are stored in lower case."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        user.email = form.cleaned_data["email"].lower()
        if password := form.cleaned_data.get("password1"):
            user.set_password(password)
        else:
            user.set_unusable_password()
        reading = get_language()
        if reading in Language.values:
            user.language = reading
        if commit:
            user.save()
        return user

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in and switch to the language of the account at once, so that the greeting is already in it."""
        super().login(request, user)
        if user.language:
            activate(request, user.language)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send the e-mail in the recipient's language, which may differ from the language of the person who caused it.

        An address without an account gets the language of the page.
        """
        recipient = context.get("user") or User.objects.filter(email__iexact=email).first()
        if not isinstance(recipient, User) or not recipient.language:
            super().send_mail(template_prefix, email, context)
            return
        with in_language_of(recipient):
            super().send_mail(template_prefix, email, context)

    def set_password(self, user: User, password: str) -> None:
        """Change or reset the password. Tokens made with the old password stop working, as other sessions do (R12)."""
        super().set_password(user, password)
        AuthToken.objects.filter(user=user).delete()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords by account alone (R11).

        allauth adds the Host header to the key. An attacker could then invent ports and get five tries for each.
        """
        return str(credentials.get("email") or credentials.get("username") or "").strip().lower()
