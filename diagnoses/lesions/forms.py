"""Forms of a lesion: name and place, photos to move, reminder, history."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.fields import SITE_CHOICES
from diagnoses.lesions import bodymap
from diagnoses.lesions.models import MONTHS, BodyView, Lesion
from diagnoses.lesions.services import BodyPlace
from diagnoses.photos.histories import HistoryAnswers
from diagnoses.photos.models import Photo, PhotoHistory

# A value of its own for "I do not know", so that a skipped question is not shown as answered.
YES_NO: Final = [("yes", _("Yes")), ("no", _("No")), ("unknown", _("I do not know"))]

QUESTIONS: Final = {
    "change_size": _("Has it become larger or smaller?"),
    "change_shape": _("Has its shape or its edge changed?"),
    "change_colour": _("Has its colour changed?"),
    "raised": _("Is it raised above the skin, or has it become so?"),
    "diameter_7mm": _("Is it 7 mm across or more, about as wide as a pencil?"),
    "inflamed": _("Is the skin around it red or swollen?"),
    "bleeding": _("Does it bleed, ooze or have a crust?"),
    "itch": _("Does it itch or feel different?"),
    "pain": _("Does it hurt?"),
}
"""The yes-or-no questions in the order they are asked, by column of `PhotoHistory`."""

REGION: Final = "region:"
SITE: Final = "site:"


def _yes_or_no(value: str) -> bool | None:
    return {"yes": True, "no": False}.get(value)


class HistoryForm(forms.Form):
    """What the patient knows about the spot. No question is required."""

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
            )

    @classmethod
    def of(cls, history: PhotoHistory) -> "HistoryForm":
        """The form with the answers of a history, to be told again."""
        said = {name: {True: "yes", False: "no"}.get(getattr(history, name), "unknown") for name in QUESTIONS}
        return cls(initial={**said, "duration": history.duration, "note": history.note})

    def questions(self) -> Iterator[forms.BoundField]:
        """The yes-or-no questions, for the template."""
        for name in QUESTIONS:
            yield self[name]

    @property
    def is_begun(self) -> bool:
        """Whether anything was answered. Then the page shows the questions unfolded."""
        return any(self.data.get(self.add_prefix(name)) for name in self.fields) if self.is_bound else False

    @property
    def answers(self) -> HistoryAnswers:
        """The answers. Call `is_valid` first."""
        return HistoryAnswers(**{field.name: self.cleaned_data[field.name] for field in fields(HistoryAnswers)})


class LesionForm(forms.Form):
    """Name and place of a spot. The place is an exact point on the drawing, a region, or only a site."""

    name = forms.CharField(
        label=_("Name of the spot"),
        max_length=100,
        help_text=_("So that you find it again, such as “left shoulder”."),
        error_messages={"required": _("Give the spot a name, such as “left shoulder”.")},
    )
    place = forms.ChoiceField(label=_("Where on the body?"), required=False)
    # The exact point in the region, set by static/js/bodymap.js. Without it, the centre of the region is used.
    body_view = forms.CharField(required=False, max_length=5, widget=forms.HiddenInput)
    body_x = forms.FloatField(required=False, min_value=0, max_value=1, widget=forms.HiddenInput)
    body_y = forms.FloatField(required=False, min_value=0, max_value=1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        place = self.fields["place"]
        assert isinstance(place, forms.ChoiceField)
        place.choices = [
            ("", _("Not said")),
            *(
                (view.label, [(REGION + region.key, region.label) for region in bodymap.regions_of(view)])
                for view in BodyView
            ),
            (_("Only the part of the body"), [(SITE + site, label) for site, label in SITE_CHOICES]),
        ]

    @classmethod
    def of(cls, lesion: Lesion) -> "LesionForm":
        """The initial values of the form for a spot."""
        region = None
        if lesion.body_x is not None and lesion.body_y is not None:
            region = bodymap.region_at(lesion.body_view, lesion.body_x, lesion.body_y)
        site = SITE + lesion.anatom_site_general if lesion.anatom_site_general else ""
        return cls(
            initial={
                "name": lesion.name,
                "place": REGION + region.key if region is not None else site,
                "body_view": lesion.body_view,
                "body_x": lesion.body_x,
                "body_y": lesion.body_y,
            }
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        chosen = cleaned.get("place", "")
        cleaned["body_place"] = None
        cleaned["anatom_site_general"] = chosen.removeprefix(SITE) if chosen.startswith(SITE) else ""
        if chosen.startswith(REGION):
            region = bodymap.BY_KEY[chosen.removeprefix(REGION)]
            cleaned["body_place"] = self._pointed_at(region) or BodyPlace.of_region(region.key)
            cleaned["anatom_site_general"] = region.site
        return cleaned

    def _pointed_at(self, region: bodymap.Region) -> BodyPlace | None:
        """The exact point, if it is in the chosen region. A region chosen afterwards in the list takes precedence."""
        x, y = self.cleaned_data.get("body_x"), self.cleaned_data.get("body_y")
        if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
            return None
        if self.cleaned_data.get("body_view") != region.view or bodymap.region_at(region.view, x, y) is not region:
            return None
        return BodyPlace(region.view, round(x, 4), round(y, 4))


class MovePhotosForm(forms.Form):
    """Moves photos into a spot."""

    NEW: Final = "new"
    NONE: Final = "none"

    photos = forms.ModelMultipleChoiceField(
        label=_("Photos"),
        queryset=Photo.objects.none(),
        error_messages={"required": _("Choose at least one photo."), "invalid_choice": _("This photo is gone.")},
    )
    to = forms.ChoiceField(label=_("Put them into"))
    name = forms.CharField(label=_("Name of the new spot"), required=False, max_length=100)

    def __init__(self, *args: Any, owner: User, without: Lesion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        photos, to = self.fields["photos"], self.fields["to"]
        assert isinstance(photos, forms.ModelMultipleChoiceField) and isinstance(to, forms.ChoiceField)
        photos.queryset = Photo.objects.filter(owner=owner)
        lesions = Lesion.objects.filter(owner=owner).order_by("name", "pk")
        self.lesions = {str(lesion.pk): lesion for lesion in lesions}
        others: Iterable[tuple[str, str]] = (
            (key, lesion.name) for key, lesion in self.lesions.items() if without is None or lesion.pk != without.pk
        )
        to.choices = [(self.NEW, _("A new spot")), *others, *([(self.NONE, _("No spot"))] if without else [])]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("to") == self.NEW and not cleaned.get("name", "").strip() and "name" not in self.errors:
            self.add_error("name", gettext("Give the new spot a name, such as “left shoulder”."))
        return cleaned


class ReminderForm(forms.Form):
    """The number of months until the reminder, or "off" to end it."""

    OFF: Final = "off"

    months = forms.ChoiceField(choices=[*((str(months), str(months)) for months in MONTHS), (OFF, OFF)])
