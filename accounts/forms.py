"""Forms of the account pages: sign-up, e-mail address, profile, consent."""

from typing import Any, Final

from allauth.account import app_settings
from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.account.app_settings import EmailVerificationMethod
from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ConsentText, Profile, Purpose, Sex, SkinType, User
from accounts.models.profile import YEAR_MIN
from accounts.services import consent_of, give_consent
from accounts.services.profiles import ANSWERS

LABELS: Final = {
    Purpose.DIAGNOSIS: _("I agree that my photos are stored and analysed, as the text says"),
    Purpose.TRAINING: _("My confirmed photos may help to improve the classifier (voluntary)"),
}
REQUIRED: Final = _("Without this consent no photo of yours may be stored. Please read the text and agree to it.")

YES_NO: Final = [("yes", _("yes")), ("no", _("no")), ("", _("no answer"))]
_MEANT: Final = {"yes": True, "no": False, "": None}
_SAID: Final = {True: "yes", False: "no", None: ""}


class ConsentFields(forms.Form):
    """Both consents as unticked boxes, each with the version of the text that is shown.

    `texts` are the current texts by purpose. A purpose without a text has no box.
    """

    texts: dict[Purpose, ConsentText]

    def add_consent_fields(self) -> None:
        """Call this after the other fields exist, so that the consents come last."""
        self.texts = {}
        for purpose in Purpose:
            text = ConsentText.objects.current(purpose)
            if text is None:
                continue
            required = purpose == Purpose.DIAGNOSIS
            self.texts[purpose] = text
            self.fields[f"{purpose}_consent"] = forms.BooleanField(
                label=LABELS[purpose], required=required, error_messages={"required": REQUIRED}
            )
            self.fields[f"{purpose}_version"] = forms.IntegerField(
                initial=text.version, required=False, widget=forms.HiddenInput
            )

    def consent_fields(self) -> list[dict[str, Any]]:
        """The consents for the template: box, hidden version, text, whether it is required."""
        return [
            {
                "field": self[f"{purpose}_consent"],
                "version": self[f"{purpose}_version"],
                "text": text,
                "required": purpose == Purpose.DIAGNOSIS,
            }
            for purpose, text in self.texts.items()
            if f"{purpose}_consent" in self.fields
        ]

    def check_versions(self) -> None:
        """Called by `clean`: adds an error if a newer text was published after the page was shown."""
        for purpose, text in self.texts.items():
            shown = self.cleaned_data.get(f"{purpose}_version")
            if self.cleaned_data.get(f"{purpose}_consent") and shown is not None and shown != text.version:
                problem = gettext("This text has changed while you were reading. Please read it again.")
                self.add_error(f"{purpose}_consent", problem)
                # The redisplayed form shows the new text, so it must carry the new version.
                self.data = {**dict(self.data.items()), self.add_prefix(f"{purpose}_version"): str(text.version)}

    def give(self, user: User) -> None:
        """Record the ticked consents in one transaction."""
        with transaction.atomic():
            for purpose, text in self.texts.items():
                if self.cleaned_data.get(f"{purpose}_consent"):
                    give_consent(user=user, purpose=purpose, by=user, version=text.version)


class ConsentForm(ConsentFields):
    """The consents that an existing user is asked for before the next upload.

    The second consent is asked for only if the user never gave it.
    """

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data)
        self.add_consent_fields()
        if consent_of(user, Purpose.TRAINING) is not None or user.training_consent is not None:
            self.texts.pop(Purpose.TRAINING, None)

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.check_versions()
        return self.cleaned_data


class AddEmailForm(allauth_forms.AddEmailForm):  # type: ignore[misc]  # allauth ships no types
    """Add an e-mail address. If addresses need no verification, the login of another account is refused.

    If addresses must be verified, any address is accepted, so that nobody learns who has an account here. The address
    has no effect until its mailbox confirms it.
    """

    def clean_email(self) -> str:
        email: str = super().clean_email()
        taken = User.objects.filter(email__iexact=email).exclude(pk=self.user.pk)
        if app_settings.EMAIL_VERIFICATION != EmailVerificationMethod.MANDATORY and taken.exists():
            raise get_adapter().validation_error("email_taken")
        return email


class YesNoField(forms.ChoiceField):
    """Yes, no, or no answer; True, False or None in Python."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_NO, widget=forms.RadioSelect, required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        return _MEANT[super().clean(value)]

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else _SAID[value]


class ProfileForm(forms.Form):
    """The profile that a clinician needs once. `answers` is the argument of `save_profile`."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        help_text=_("Clinicians of the practice see it with your photos, and it stands on your reports."),
    )
    year_of_birth = forms.IntegerField(
        label=_("Year of birth"),
        required=False,
        min_value=YEAR_MIN,
        widget=forms.NumberInput(attrs={"autocomplete": "bday-year", "inputmode": "numeric"}),
    )
    sex = forms.ChoiceField(label=_("Sex"), choices=[("", _("no answer")), *Sex.choices], required=False)
    fitzpatrick_skin_type = forms.TypedChoiceField(
        label=_("How your skin answers to the sun"),
        choices=[("", _("no answer")), *SkinType.choices],
        coerce=int,
        empty_value=None,
        required=False,
        help_text=_("Doctors call this the Fitzpatrick skin type. Think of untanned skin in the first sun of summer."),
    )
    personal_hx_mm = YesNoField(label=_("Have you ever had a melanoma?"))
    personal_hx_skin_cancer = YesNoField(label=_("Have you ever had another skin cancer?"))
    family_hx_mm = YesNoField(label=_("Has a parent, brother, sister or child of yours had a melanoma?"))
    immunosuppressed = YesNoField(
        label=_("Do you take medicine that weakens the immune system?"),
        help_text=_("For example after a transplant."),
    )
    note = forms.CharField(
        label=_("Anything else a doctor should know"),
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, data: Any = None, *, profile: Profile, name: str) -> None:
        super().__init__(data, initial={"name": name, **{question: getattr(profile, question) for question in ANSWERS}})
        year = self.fields["year_of_birth"]
        assert isinstance(year, forms.IntegerField)
        year.widget.attrs["max"] = timezone.localdate().year

    @property
    def answers(self) -> dict[str, Any]:
        """The cleaned answers by column name of the profile. Needs a valid form."""
        return {question: self.cleaned_data[question] for question in ANSWERS}


class SignupForm(ConsentFields, allauth_forms.SignupForm):  # type: ignore[misc]  # allauth ships no types
    """Sign-up: e-mail, password twice, both consents. The account and its consents are saved together."""

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
