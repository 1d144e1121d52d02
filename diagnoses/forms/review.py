"""The filters and the sort of the review list."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.models import Finding, Photo
from diagnoses.models.fields import DECISION_CHOICES, DIAGNOSIS_CHOICES, SITE_CHOICES
from diagnoses.models.photo import PhotoQuerySet
from diagnoses.paging import Order

# Dates a filter may name; outside them calendars run out and no photo lies.
DAYS: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


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
