"""Agreeing to texts: at sign-up, and whenever a text about diagnosis has changed."""

from typing import Any, Final

from django import forms
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ConsentText, Purpose, User
from accounts.services import consent_of, give_consent

LABELS: Final = {
    Purpose.DIAGNOSIS: _("I agree that my photos are stored and analysed, as the text says"),
    Purpose.TRAINING: _("My confirmed photos may help to improve the classifier (voluntary)"),
}
REQUIRED: Final = _("Without this consent no photo of yours may be stored. Please read the text and agree to it.")


class ConsentFields(forms.Form):
    """Both consents as boxes without a tick, each with the version of the text that was shown.

    `texts` are those in force by purpose; a purpose without a text is not asked about.
    """

    texts: dict[Purpose, ConsentText]

    def add_consent_fields(self) -> None:
        """Call when the other fields are there: what is agreed to comes last."""
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
        """What a template needs: box, hidden version, text, whether it must be agreed to."""
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
        """In `clean`: whoever read a text that has been replaced meanwhile reads the new one first."""
        for purpose, text in self.texts.items():
            shown = self.cleaned_data.get(f"{purpose}_version")
            if self.cleaned_data.get(f"{purpose}_consent") and shown is not None and shown != text.version:
                fault = gettext("This text has changed while you were reading. Please read it again.")
                self.add_error(f"{purpose}_consent", fault)
                # The form that comes back belongs to the text that it shows.
                self.data = {**dict(self.data.items()), self.add_prefix(f"{purpose}_version"): str(text.version)}

    def give(self, user: User) -> None:
        """Record what was ticked, all or nothing."""
        with transaction.atomic():
            for purpose, text in self.texts.items():
                if self.cleaned_data.get(f"{purpose}_consent"):
                    give_consent(user=user, purpose=purpose, by=user, version=text.version)


class ConsentForm(ConsentFields):
    """What somebody who has an account is asked before the next upload.

    The second question comes only where it was never answered with yes.
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
