"""The short history that teledermatology asks with a photo."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from diagnoses.models import PhotoHistory
from diagnoses.services import HistoryAnswers

YES_NO: Final = [("yes", _("Yes")), ("no", _("No")), ("", _("I do not know"))]

QUESTIONS: Final = {
    "change_size": _("Has it become larger or smaller?"),
    "change_shape": _("Has its shape or its edge changed?"),
    "change_colour": _("Has its colour changed?"),
    "raised": _("Is it raised above the skin, or has it become so?"),
    "diameter_7mm": _("Is it 7 mm across or more, about as wide as a pencil?"),
    "inflamed": _("Is the skin around it red or swollen?"),
    "bleeding": _("Does it bleed, ooze or have a crust?"),
    "itch": _("Does it itch, hurt or feel different?"),
}
"""In the order they are asked; the names are columns of `PhotoHistory`."""


def _yes_or_no(value: str) -> bool | None:
    return {"yes": True, "no": False}.get(value)


class HistoryForm(forms.Form):
    """What the patient knows of the spot. Every question may stay unanswered."""

    duration = forms.ChoiceField(
        label=_("How long has it been there?"),
        required=False,
        choices=[("", _("Not said")), *PhotoHistory.Duration.choices],
    )
    note = forms.CharField(
        label=_("In your own words"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Anything else about the spot, such as an injury or a treatment."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, question in QUESTIONS.items():
            self.fields[name] = forms.TypedChoiceField(
                label=question,
                choices=YES_NO,
                required=False,
                coerce=_yes_or_no,
                empty_value=None,
                widget=forms.RadioSelect,
                initial="",
            )

    def questions(self) -> Iterator[forms.BoundField]:
        """The yes-or-no questions, for the template."""
        for name in QUESTIONS:
            yield self[name]

    @property
    def is_begun(self) -> bool:
        """Whether anything was answered, so that the page opens what is folded away."""
        return any(self.data.get(self.add_prefix(name)) for name in self.fields) if self.is_bound else False

    @property
    def answers(self) -> HistoryAnswers:
        """What was answered; only after `is_valid`."""
        return HistoryAnswers(**{field.name: self.cleaned_data[field.name] for field in fields(HistoryAnswers)})
