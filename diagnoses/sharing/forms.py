"""The form of a new share link."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from diagnoses.sharing.services import DAYS


def _days_word(days: int) -> Any:
    return {1: _("1 day"), 7: _("7 days"), 30: _("30 days")}[days]


class ShareForm(forms.Form):
    """The number of days and the label of a share link."""

    days = forms.TypedChoiceField(
        label=_("How long it opens"),
        choices=[(days, _days_word(days)) for days in DAYS],
        coerce=int,
        initial=DAYS[1],
        widget=forms.RadioSelect,
    )
    label = forms.CharField(
        label=_("For whom"),
        required=False,
        max_length=100,
        help_text=_("A reminder for yourself, such as the name of the doctor. Nobody else sees it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
