"""Forms of readers: blind answer, final answer, histopathology, period of days."""

from datetime import date
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import DIAGNOSIS_CHOICES
from diagnoses.readings.models import MONITOR_MONTHS, Finding, Reading
from diagnoses.readings.rules import OVERRIDE_REASON_MAX, Said
from recognition.taxonomy import CODES

# The dates that a filter accepts. Dates outside overflow calendars, and no photo has them.
DAYS: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]

SAID_CHOICES: Final = [
    *DIAGNOSIS_CHOICES,
    (Reading.Answer.CANNOT_SAY.value, Reading.Answer.CANNOT_SAY.label),
    (Reading.Answer.UNUSABLE.value, Reading.Answer.UNUSABLE.label),
]
"""The choices of an answer: the eight diagnoses in ISIC order, and two answers without a diagnosis."""

MONTH_CHOICES: Final = {1: _("1 month"), 3: _("3 months"), 6: _("6 months"), 12: _("12 months")}


class FindingForm(forms.Form):
    """The diagnosis of a lesion."""

    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=[("", _("Choose")), *DIAGNOSIS_CHOICES])
    source = forms.ChoiceField(
        label=_("How it is known"),
        choices=list(reversed(Finding.Source.choices)),
        widget=forms.RadioSelect,
        initial=Finding.Source.CLINICIAN,
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class DaysForm(forms.Form):
    """A period from one day to another, both included. Each end is optional."""

    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=DAYS,
    )
    until = forms.DateField(
        label=_("To"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=DAYS,
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", _("The end lies before the beginning."))
        return cleaned


class PeriodForm(DaysForm):
    """A period with both ends. Invalid input is ignored."""

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day. `initial` is used for missing days and invalid periods."""
        usual: tuple[date, date] = (self.initial["since"], self.initial["until"])
        if not self.is_bound or not self.is_valid():
            return usual
        since = self.cleaned_data.get("since") or min(usual[0], self.cleaned_data.get("until") or usual[0])
        until = self.cleaned_data.get("until") or max(usual[1], since)
        return since, until


assert set(MONTH_CHOICES) == set(MONITOR_MONTHS)


def said_of(value: str) -> Said:
    """The answer of one of `SAID_CHOICES`."""
    return Said(Reading.Answer.DIAGNOSIS.value, value) if value in CODES else Said(value)


def value_of(said: Said) -> str:
    """The choice of an answer."""
    return said.diagnosis or said.answer


class BlindForm(forms.Form):
    """The blind answer, before the prediction is shown."""

    said = forms.ChoiceField(
        label=_("What do you see?"),
        choices=SAID_CHOICES,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose what you see.")},
    )

    @property
    def answer(self) -> Said:
        """The chosen answer. The form must be valid."""
        return said_of(self.cleaned_data["said"])


class FinalForm(forms.Form):
    """The final answer, after the prediction was shown, and the management."""

    said = forms.ChoiceField(
        label=_("What is your final answer?"),
        choices=SAID_CHOICES,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose what you see.")},
    )
    override_reason = forms.CharField(
        label=_("Why does your answer differ from the classifier’s?"),
        required=False,
        max_length=OVERRIDE_REASON_MAX,
        help_text=_("Needed where your diagnosis is not the classifier’s. The patient does not read it."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    management = forms.ChoiceField(
        label=_("What should happen next?"),
        required=False,
        choices=Reading.Management.choices,
        widget=forms.RadioSelect,
    )
    monitor_months = forms.TypedChoiceField(
        label=_("Photograph again after"),
        required=False,
        choices=[("", _("Choose")), *MONTH_CHOICES.items()],
        coerce=int,
        empty_value=None,
    )
    note = forms.CharField(
        label=_("Note to the patient"),
        required=False,
        max_length=2000,
        help_text=_("In plain words: the patient reads it with your answer."),
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    second_reading = forms.BooleanField(label=_("I want a colleague to read this photo as well"), required=False)
    # The role for which the page was made, and whether a late reading becomes a second reading.
    shown_role = forms.CharField(required=False, max_length=12, widget=forms.HiddenInput)
    insist = forms.BooleanField(required=False, widget=forms.HiddenInput)

    # Field names of the service that differ from those of the form.
    FIELDS: Final = {"answer": "said"}

    def values(self) -> dict[str, Any]:
        """The arguments of `record_final`. The form must be valid."""
        values = dict(self.cleaned_data)
        said = said_of(values.pop("said"))
        return {"answer": said.answer, "diagnosis": said.diagnosis, **values}

    def take_errors(self, errors: dict[str, list[str]]) -> None:
        """Show the errors of the service beside the fields."""
        for name, messages in errors.items():
            field = self.FIELDS.get(name, name)
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


class HistopathologyForm(forms.Form):
    """The histopathology, entered by a clinician."""

    diagnosis = forms.ChoiceField(
        label=_("Histopathological diagnosis"), choices=[("", _("Choose")), *DIAGNOSIS_CHOICES]
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=2000,
        help_text=_("Such as the laboratory’s number and date. The patient reads it."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class AgreedForm(forms.Form):
    """The diagnosis that two readers agree on after a disagreement, if there is no third reader."""

    diagnosis = forms.ChoiceField(label=_("What you agree on"), choices=[("", _("Choose")), *DIAGNOSIS_CHOICES])
    note = forms.CharField(
        label=_("Note to the patient"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )
