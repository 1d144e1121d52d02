"""What a patient fills in with a photo."""

from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.intake import REASONS, IntakeLimits, PhotoRejected
from diagnoses.models import Lesion
from diagnoses.models.fields import SEX_CHOICES, SITE_CHOICES
from diagnoses.taxonomy import AGE_MAX, AGE_MIN

# Types by name and by ending: some phones offer nothing for the one or the other.
ACCEPTED_FILES: Final = "image/jpeg,image/png,image/webp,.jpg,.jpeg,.png,.webp"
EMPTY_CHOICE: Final = [("", _("Not said"))]


def words_for(rejected: PhotoRejected) -> str:
    """Why intake refused a file, in the reader's language."""
    return gettext(rejected.template) % rejected.params


class PhotoForm(forms.Form):
    """A photo and what the patient says of it. Nothing but the photo is required."""

    image = forms.FileField(
        label=_("Photo"),
        allow_empty_file=True,  # intake has the better words for it
        error_messages={
            "required": _("Choose a photo first."),
            "invalid": _("The photo did not arrive. Please choose it again."),
            "missing": _("The photo did not arrive. Please choose it again."),
        },
        widget=forms.FileInput(attrs={"accept": ACCEPTED_FILES}),
    )
    lesion = forms.ModelChoiceField(
        label=_("Which spot is it?"), queryset=Lesion.objects.none(), required=False, empty_label=_("A new spot")
    )
    lesion_name = forms.CharField(
        label=_("Name of the new spot"),
        required=False,
        max_length=100,
        help_text=_("So that you find it again, such as “left shoulder”. You may leave it empty."),
    )
    anatom_site_general = forms.ChoiceField(
        label=_("Where on the body?"), required=False, choices=[*EMPTY_CHOICE, *SITE_CHOICES]
    )
    age_approx = forms.IntegerField(
        label=_("Age in years"),
        required=False,
        min_value=AGE_MIN,
        max_value=AGE_MAX,
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    sex = forms.ChoiceField(label=_("Sex"), required=False, choices=[*EMPTY_CHOICE, *SEX_CHOICES])
    # Made with the page: a second click, or "back" and "send" again, finds the first upload instead of a second one.
    upload_key = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, owner: User, limits: IntakeLimits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits or IntakeLimits()
        lesion = self.fields["lesion"]
        assert isinstance(lesion, forms.ModelChoiceField)
        lesion.queryset = Lesion.objects.filter(owner=owner).order_by("name", "pk")
        self.fields["image"].widget.attrs["data-max-bytes"] = str(self.limits.max_bytes)

    @property
    def max_megabytes(self) -> int:
        """The largest file, as people count it."""
        return self.limits.max_bytes // 2**20

    @property
    def file_problems(self) -> dict[str, str]:
        """What the browser can say of a file before it is sent, in the words the server would use."""
        return {"empty": gettext(REASONS["empty"]), "too_large": too_large(self.limits)}

    def clean_image(self) -> "UploadedFile[bytes]":
        image: UploadedFile[bytes] = self.cleaned_data["image"]
        if not image.size:
            raise forms.ValidationError(gettext(REASONS["empty"]), code="empty")
        if image.size > self.limits.max_bytes:
            raise forms.ValidationError(too_large(self.limits), code="too_large_bytes")
        return image


def too_large(limits: IntakeLimits) -> str:
    """What to tell somebody whose file is over the limit, whether or not we have read it."""
    return gettext(REASONS["too_large_bytes"]) % {"megabytes": limits.max_bytes // 2**20}
