"""The form for a further e-mail address, where allauth's own lets too much through."""

from allauth.account import app_settings
from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.account.app_settings import EmailVerificationMethod

from accounts.models import User


class AddEmailForm(allauth_forms.AddEmailForm):  # type: ignore[misc]  # allauth ships no types
    """A further address of one's own. Another account's login is refused where it could become one's own unverified.

    Where addresses must be verified it is taken, so that nobody learns who has an account here: without the mailbox
    nothing follows from it.
    """

    def clean_email(self) -> str:
        email: str = super().clean_email()
        taken = User.objects.filter(email__iexact=email).exclude(pk=self.user.pk)
        if app_settings.EMAIL_VERIFICATION != EmailVerificationMethod.MANDATORY and taken.exists():
            raise get_adapter().validation_error("email_taken")
        return email
