"""The form that tells how a photo was taken."""

from django import forms
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import IMAGE_TYPE_CHOICES


def image_type_choices() -> list[tuple[str, str | Promise]]:
    """The kinds of picture as sentences begin. Most patients have a phone, so that comes first."""
    return [
        *((value, capfirst(str(label))) for value, label in reversed(IMAGE_TYPE_CHOICES)),
        ("", capfirst(gettext("I do not know"))),
    ]


class ImageTypeField(forms.ChoiceField):
    """How a photo was taken. Empty: nobody knows, so the picture has to tell."""

    widget = forms.RadioSelect

    def __init__(self) -> None:
        super().__init__(
            label=_("How was the photo taken?"),
            required=False,
            initial="",
            choices=image_type_choices,
            help_text=_("A dermatoscope is a magnifier with a light that is held on the skin."),
        )


class ImageTypeForm(forms.Form):
    """Tells afterwards how a photo was taken."""

    image_type = ImageTypeField()
