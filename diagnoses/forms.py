"""What people fill in: an upload, a finding, the filters of the review list. Forms check; services write."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.intake import REASONS, IntakeLimits, PhotoRejected
from diagnoses.models import Finding, Lesion, Photo
from diagnoses.models.fields import DECISION_CHOICES, DIAGNOSIS_CHOICES, SEX_CHOICES, SITE_CHOICES
from diagnoses.models.photo import PhotoQuerySet
from diagnoses.paging import Order
from diagnoses.taxonomy import AGE_MAX, AGE_MIN

# Types by name and by ending: some phones offer nothing for the one or the other.
ACCEPTED_FILES: Final = "image/jpeg,image/png,image/webp,.jpg,.jpeg,.png,.webp"
# Dates a filter may name; outside them calendars run out and no photo lies.
DAYS: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
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


class FindingForm(forms.Form):
    """What a clinician or a pathologist says a lesion is."""

    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=[("", _("Choose")), *DIAGNOSIS_CHOICES])
    source = forms.ChoiceField(
        label=_("How it is known"),
        choices=list(reversed(Finding.Source.choices)),
        widget=forms.RadioSelect,
        initial=Finding.Source.CLINICIAN,
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


@dataclass(frozen=True)
class ReviewOrder:
    """One way to sort the review list, and what it is called."""

    order: Order
    label: Any


REVIEW_ORDERS: Final = {
    "newest": ReviewOrder(Order("newest", "created", "time"), _("Newest first")),
    "urgent": ReviewOrder(Order("urgent", "triage", "share", nullable=True), _("Most urgent first")),
    "riskiest": ReviewOrder(
        Order("riskiest", "malignant_score", "share", nullable=True), _("Highest malignant score first")
    ),
    "unsure": ReviewOrder(
        Order("unsure", "confidence", "share", descending=False, nullable=True), _("Least confident first")
    ),
}


class ReviewFilterForm(forms.Form):
    """The filters and the sort of the review list, read from the address. What is not valid filters nothing."""

    ANY: ClassVar = [("", _("Any"))]

    sort = forms.ChoiceField(
        label=_("Sort"), required=False, choices=[(key, o.label) for key, o in REVIEW_ORDERS.items()]
    )
    patient = forms.CharField(
        label=_("Patient's e-mail"),
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("any part of it"), "autocomplete": "off"}),
    )
    status = forms.ChoiceField(label=_("Status"), required=False, choices=[*ANY, *Photo.Status.choices])
    decision = forms.ChoiceField(label=_("Advice"), required=False, choices=[*ANY, *DECISION_CHOICES])
    diagnosis = forms.ChoiceField(label=_("Top diagnosis"), required=False, choices=[*ANY, *DIAGNOSIS_CHOICES])
    site = forms.ChoiceField(label=_("Site"), required=False, choices=[*ANY, *SITE_CHOICES])
    finding = forms.ChoiceField(
        label=_("Finding"), required=False, choices=[*ANY, ("no", _("None yet")), ("yes", _("Recorded"))]
    )
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

    @property
    def order(self) -> Order:
        self.is_valid()
        return REVIEW_ORDERS[self.cleaned_data.get("sort") or "newest"].order

    @property
    def in_use(self) -> int:
        """How many filters are set (the sort is not one)."""
        self.is_valid()
        return sum(bool(value) for name, value in self.cleaned_data.items() if name != "sort")

    def narrow(self, photos: PhotoQuerySet) -> PhotoQuerySet:
        """The photos that pass every valid filter."""
        self.is_valid()
        chosen = self.cleaned_data
        if patient := chosen.get("patient", "").strip():
            photos = photos.filter(owner__email__icontains=patient)
        if status := chosen.get("status"):
            photos = photos.filter(status=status)
        if decision := chosen.get("decision"):
            # A photo that is analysed again keeps the decision it had; it is not its decision now.
            photos = photos.filter(decision=decision, status=Photo.Status.PREDICTED)
        if diagnosis := chosen.get("diagnosis"):
            photos = photos.filter(diagnosis=diagnosis)
        if site := chosen.get("site"):
            photos = photos.filter(anatom_site_general=site)
        if finding := chosen.get("finding"):
            recorded = Exists(Finding.objects.filter(photo=OuterRef("pk")))
            photos = photos.filter(recorded if finding == "yes" else ~recorded)
        if since := chosen.get("since"):
            photos = photos.filter(created__gte=_local_midnight(since))
        if until := chosen.get("until"):
            photos = photos.filter(created__lt=_local_midnight(until + timedelta(days=1)))
        return photos


def _local_midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
