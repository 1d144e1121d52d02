"""What a patient does with their spots: name and place them, sort photos into them, be reminded, compare."""

import math
from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses import bodymap
from diagnoses.models import BodyView, Lesion, Photo
from diagnoses.models.fields import SITE_CHOICES
from diagnoses.models.reminder import MONTHS
from diagnoses.services import BodyPlace

REGION: Final = "region:"
SITE: Final = "site:"


class LesionForm(forms.Form):
    """Name and place of a spot. The place is a region of the drawing, exact where it was pointed at, or only a site."""

    name = forms.CharField(
        label=_("Name of the spot"),
        max_length=100,
        help_text=_("So that you find it again, such as “left shoulder”."),
        error_messages={"required": _("Give the spot a name, such as “left shoulder”.")},
    )
    place = forms.ChoiceField(label=_("Where on the body?"), required=False)
    # Set by the drawing (static/js/bodymap.js): exactly where in the region. Without them it is the region's middle.
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
        """The form as a spot fills it."""
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
        """The exact place, if it lies in the chosen region: who changed the list after pointing means the list."""
        x, y = self.cleaned_data.get("body_x"), self.cleaned_data.get("body_y")
        if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
            return None
        if self.cleaned_data.get("body_view") != region.view or bodymap.region_at(region.view, x, y) is not region:
            return None
        return BodyPlace(region.view, round(x, 4), round(y, 4))


class MovePhotosForm(forms.Form):
    """Which photos go into which spot."""

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
    """In how many months to be reminded; "off" ends the reminder."""

    OFF: Final = "off"

    months = forms.ChoiceField(choices=[*((str(months), str(months)) for months in MONTHS), (OFF, OFF)])
