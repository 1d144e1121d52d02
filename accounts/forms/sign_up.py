"""The sign-up form: allauth's, with what a patient agrees to."""

from typing import Any

from allauth.account import forms as allauth_forms
from django.http import HttpRequest

from accounts.forms.consent import ConsentFields
from accounts.models import User


class SignupForm(ConsentFields, allauth_forms.SignupForm):  # type: ignore[misc]  # allauth ships no types
    """E-mail, password twice, and both consents; the account and what it agreed to are stored together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_consent_fields()

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.check_versions()
        cleaned: dict[str, Any] = self.cleaned_data
        return cleaned

    def custom_signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth once the account is saved."""
        super().custom_signup(request, user)
        self.give(user)
