"""The upload form: photos and what the patient says about them."""

from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.fields import SEX_CHOICES, SITE_CHOICES
from diagnoses.lesions.models import Lesion
from diagnoses.results.forms import ImageTypeField
from recognition.sandbox import REASONS, IntakeLimits, PhotoRejected
from recognition.taxonomy import AGE_MAX, AGE_MIN

# MIME types and suffixes: some phones understand only one of them.
ACCEPTED_FILES: Final = "image/jpeg,image/png,image/webp,.jpg,.jpeg,.png,.webp"
MAX_PHOTOS: Final = 10
"""The largest number of photos in one request."""

EMPTY_CHOICE: Final = [("", _("Not said"))]


def words_for(rejected: PhotoRejected) -> str:
    """Why the sandbox refused a file, in the reader's language."""
    return gettext(rejected.template) % rejected.params


class PhotosInput(forms.FileInput):
    """A file input that takes several files."""

    allow_multiple_selected = True


class PhotosField(forms.FileField):
    """A field for several files. `PhotoForm.problem_with` checks each file separately."""

    widget = PhotosInput

    def clean(self, data: Any, initial: Any = None) -> Any:
        """The list of files in the chosen order. Raises ValidationError if there is none."""
        files = [super(PhotosField, self).clean(file, initial) for file in data or []]
        if not files:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        return files


class PhotoForm(forms.Form):
    """Photos and what the patient says about them. Only a photo is required."""

    SAME: Final = "same"
    EACH: Final = "each"

    image = PhotosField(
        label=_("Photos"),
        allow_empty_file=True,  # the sandbox has a better message for it
        error_messages={
            "required": _("Choose a photo first."),
            "invalid": _("The photo did not arrive. Please choose it again."),
            "missing": _("The photo did not arrive. Please choose it again."),
        },
        widget=PhotosInput(attrs={"accept": ACCEPTED_FILES}),
    )
    several = forms.ChoiceField(
        label=_("If you send several photos"),
        required=False,
        initial=SAME,
        choices=[(SAME, _("They all show the same spot")), (EACH, _("Each shows a spot of its own"))],
        widget=forms.RadioSelect,
    )
    # Holds for all photos of one request. Not taken over from the last photo: a wrong answer is worse than none.
    image_type = ImageTypeField()
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
    # The number of photos that belong together if a browser sends them one by one.
    of = forms.IntegerField(required=False, min_value=1, max_value=MAX_PHOTOS, widget=forms.HiddenInput)
    # The idempotency key, made with the page. Sending the form twice finds the first upload.
    upload_key = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, owner: User, limits: IntakeLimits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits or IntakeLimits()
        lesion = self.fields["lesion"]
        assert isinstance(lesion, forms.ModelChoiceField)
        lesion.queryset = Lesion.objects.filter(owner=owner).order_by("name", "pk")
        self.fields["image"].widget.attrs |= {
            "data-max-bytes": str(self.limits.max_bytes),
            "data-max-photos": str(MAX_PHOTOS),
        }

    @property
    def max_megabytes(self) -> int:
        """The largest file size, in megabytes."""
        return self.limits.max_bytes // 2**20

    @property
    def max_photos(self) -> int:
        """The largest number of photos in one request."""
        return MAX_PHOTOS

    @property
    def file_problems(self) -> dict[str, str]:
        """The messages that the browser shows before sending a file; the same texts as the server's."""
        return {"empty": gettext(REASONS["empty"]), "too_large": too_large(self.limits), "too_many": too_many()}

    @property
    def each_its_own(self) -> bool:
        """Whether each photo shows a different new spot. Call `is_valid` first."""
        return self._count > 1 and self.cleaned_data.get("several") == self.EACH

    @property
    def _count(self) -> int:
        return max(len(self.cleaned_data.get("image") or []), self.cleaned_data.get("of") or 1)

    def problem_with(self, file: "UploadedFile[bytes]") -> str:
        """Why a file is refused without being decoded; "" if it should be decoded."""
        if not file.size:
            return gettext(REASONS["empty"])
        return too_large(self.limits) if file.size > self.limits.max_bytes else ""

    def clean_image(self) -> "list[UploadedFile[bytes]]":
        files: list[UploadedFile[bytes]] = self.cleaned_data["image"]
        if len(files) > MAX_PHOTOS:
            raise forms.ValidationError(too_many(), code="too_many")
        return files

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        named = bool((cleaned.get("lesion_name") or "").strip()) or "lesion_name" in self.errors
        if self._count > 1 and not named and "lesion" not in self.errors:
            if cleaned.get("several") == self.EACH:
                self.add_error("lesion_name", gettext("Give a name: the spots are called after it, “back”, “back 2”."))
            elif cleaned.get("lesion") is None:
                self.add_error("lesion_name", gettext("Give the new spot a name, so that its photos stay together."))
        return cleaned


def too_large(limits: IntakeLimits) -> str:
    """The message for a file over the size limit."""
    return gettext(REASONS["too_large_bytes"]) % {"megabytes": limits.max_bytes // 2**20}


def too_many() -> str:
    """The message for too many photos in one request."""
    return gettext("Please send at most %(count)d photos at a time.") % {"count": MAX_PHOTOS}
