"""The profile form: every question may stay unanswered."""

from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Profile, Sex, SkinType
from accounts.models.profile import YEAR_MIN
from accounts.services.profiles import ANSWERS

YES_NO: Final = [("yes", _("yes")), ("no", _("no")), ("", _("no answer"))]
_MEANT: Final = {"yes": True, "no": False, "": None}
_SAID: Final = {True: "yes", False: "no", None: ""}


class YesNoField(forms.ChoiceField):
    """Yes, no, or no answer; True, False or None in Python."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_NO, widget=forms.RadioSelect, required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        return _MEANT[super().clean(value)]

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else _SAID[value]


class ProfileForm(forms.Form):
    """What a clinician asks once. `answers` is what `save_profile` takes."""

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
        """What was said, by the names of the profile's columns; only of a valid form."""
        return {question: self.cleaned_data[question] for question in ANSWERS}
