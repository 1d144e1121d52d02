"""A period of days, read from the address."""

from datetime import date
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

# Dates a filter may name; outside them calendars run out and no photo lies.
DAYS: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


class DaysForm(forms.Form):
    """From one day to another, both included; either may be left open."""

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
    """A period that always has both ends. What is not valid is as if nothing had been said."""

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day; `initial` where a day was not said or the period is none."""
        usual: tuple[date, date] = (self.initial["since"], self.initial["until"])
        if not self.is_bound or not self.is_valid():
            return usual
        since = self.cleaned_data.get("since") or min(usual[0], self.cleaned_data.get("until") or usual[0])
        until = self.cleaned_data.get("until") or max(usual[1], since)
        return since, until
