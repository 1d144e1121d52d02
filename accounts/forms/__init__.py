"""What people may enter about themselves."""

from accounts.forms.consent import ConsentForm
from accounts.forms.emails import AddEmailForm
from accounts.forms.profile import ProfileForm
from accounts.forms.sign_up import SignupForm

__all__ = ["AddEmailForm", "ConsentForm", "ProfileForm", "SignupForm"]
