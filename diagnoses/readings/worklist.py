"""The filters and the sort of the worklist."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, User
from diagnoses.fields import DECISION_CHOICES, DIAGNOSIS_CHOICES, SITE_CHOICES
from diagnoses.paging import Key, Order
from diagnoses.photos.models import Photo, PhotoQuerySet
from diagnoses.readings.forms import DaysForm
from diagnoses.readings.models import Finding, Reading

# States of the form, besides the four of a photo.
TO_READ: Final = "to-read"
REQUESTED: Final = "requested"
EVERYTHING: Final = "all"
FINISHED: Final = frozenset({Photo.ReviewState.READ.value, EVERYTHING})
"""States that are sorted newest first, not most urgent first."""


@dataclass(frozen=True)
class ReviewOrder:
    """One sort order of the worklist, with its label."""

    order: Order
    label: Any


REVIEW_ORDERS: Final = {
    # The order of the index `photo_worklist`: by urgency, then by uncertainty of the classifier, then by waiting time.
    "worklist": ReviewOrder(
        Order(
            "worklist",
            "priority",
            "rank",
            then=(Key("confidence", "share", descending=False, nullable=True), Key("created", "time", False)),
            id_descending=False,
        ),
        _("Most urgent first, then least certain, then oldest"),
    ),
    "newest": ReviewOrder(Order("newest", "created", "time"), _("Newest first")),
    "urgent": ReviewOrder(
        Order("urgent", "priority", "rank", then=(Key("malignant_score", "share", nullable=True),)),
        _("Most urgent first, then highest malignant score"),
    ),
    "riskiest": ReviewOrder(
        Order("riskiest", "malignant_score", "share", nullable=True), _("Highest malignant score first")
    ),
    "unsure": ReviewOrder(
        Order("unsure", "confidence", "share", descending=False, nullable=True), _("Least confident first")
    ),
}


def to_read_by(user: User) -> list[Q]:
    """The photos `user` may read, as conditions that exclude each other: unread, and waiting for another reader.

    Nobody reads their own photo, or a photo twice. Unread photos have no recorded reading, so that is not checked.
    """
    others = ~Q(owner=user)
    not_mine = ~Exists(Reading.objects.filter(photo=OuterRef("pk"), reader=user, recorded__isnull=False))
    return [
        Q(review_state=Photo.ReviewState.UNREAD) & others,
        Q(not_mine, review_state=Photo.ReviewState.SECOND) & others,
        Q(not_mine, review_state=Photo.ReviewState.ADJUDICATION) & others,
    ]


class ReviewFilterForm(DaysForm):
    """The filters and the sort order of the worklist, from the URL. Invalid values are ignored."""

    ANY: ClassVar = [("", _("Any"))]

    state = forms.ChoiceField(
        label=_("Photos"),
        required=False,
        choices=[
            (TO_READ, _("What I can read now")),
            (Photo.ReviewState.UNREAD.value, _("Not read yet")),
            (REQUESTED, _("Asked for by the patient, not read yet")),
            (Photo.ReviewState.SECOND.value, _("Waits for a second reading")),
            (Photo.ReviewState.ADJUDICATION.value, _("Waits for adjudication")),
            (Photo.ReviewState.READ.value, _("Read")),
            (EVERYTHING, _("Everything")),
        ],
    )
    sort = forms.ChoiceField(
        label=_("Sort"),
        required=False,
        choices=[("", _("As usual")), *((k, o.label) for k, o in REVIEW_ORDERS.items())],
    )
    patient = forms.CharField(
        label=_("Patient's e-mail"),
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("any part of it"), "autocomplete": "off"}),
    )
    status = forms.ChoiceField(label=_("Analysis"), required=False, choices=[*ANY, *Photo.Status.choices])
    decision = forms.ChoiceField(label=_("Advice"), required=False, choices=[*ANY, *DECISION_CHOICES])
    diagnosis = forms.ChoiceField(label=_("Top diagnosis"), required=False, choices=[*ANY, *DIAGNOSIS_CHOICES])
    site = forms.ChoiceField(label=_("Site"), required=False, choices=[*ANY, *SITE_CHOICES])
    finding = forms.ChoiceField(
        label=_("Finding"),
        required=False,
        choices=[
            *ANY,
            ("no", _("None yet")),
            ("yes", _("Recorded")),
            (Finding.Source.HISTOPATHOLOGY.value, _("Histopathology")),
        ],
    )
    reader = forms.ModelChoiceField(
        label=_("Read by"), queryset=User.objects.none(), required=False, empty_label=_("Anybody")
    )
    disagreement = forms.ChoiceField(
        label=_("Reader and classifier"),
        required=False,
        choices=[*ANY, ("yes", _("They disagree")), ("no", _("They agree"))],
    )

    def __init__(self, data: Mapping[str, Any], *, by: User) -> None:
        super().__init__(data)
        self.by = by
        reader = self.fields["reader"]
        assert isinstance(reader, forms.ModelChoiceField)
        reader.queryset = User.objects.filter(role__in=[Role.CLINICIAN, Role.ADMINISTRATOR]).order_by("name", "email")

    @property
    def shown_state(self) -> str:
        """The selected choice of `state`."""
        self.is_valid()
        return self.cleaned_data.get("state") or TO_READ

    @property
    def order(self) -> Order:
        """The sort order: the chosen one, else most urgent first for open photos and newest first for the others."""
        self.is_valid()
        usual = "newest" if self.shown_state in FINISHED else "worklist"
        return REVIEW_ORDERS[self.cleaned_data.get("sort") or usual].order

    @property
    def in_use(self) -> int:
        """The number of active filters, without state and sort order."""
        self.is_valid()
        return sum(bool(value) for name, value in self.cleaned_data.items() if name not in {"sort", "state"})

    @property
    def apart(self) -> list[Q]:
        """The conditions of the state. They exclude each other, and each one begins an index (see `page_of`)."""
        state = self.shown_state
        if state == TO_READ:
            return to_read_by(self.by)
        if state == EVERYTHING:
            # The index of the worklist begins with the state.
            by_state = [Q(review_state=each) for each in Photo.ReviewState.values]
            return by_state if self.order.name == "worklist" else [Q()]
        if state == REQUESTED:
            waiting = [Photo.ReviewState.UNREAD, Photo.ReviewState.SECOND, Photo.ReviewState.ADJUDICATION]
            return [Q(review_state=each, review_requested__isnull=False) for each in waiting]
        return [Q(review_state=state)]

    def chosen_photos(self, photos: PhotoQuerySet) -> PhotoQuerySet:
        """The photos that match all valid filters and the state, as one query."""
        state = Q()
        for condition in self.apart:
            state |= condition
        return self.narrow(photos).filter(state)

    def narrow(self, photos: PhotoQuerySet) -> PhotoQuerySet:
        """The photos that match all valid filters, in any state."""
        self.is_valid()
        chosen = self.cleaned_data
        if patient := chosen.get("patient", "").strip():
            photos = photos.filter(owner__email__icontains=patient)
        if status := chosen.get("status"):
            photos = photos.filter(status=status)
        if decision := chosen.get("decision"):
            # A photo that is analysed again still has its old decision, which is not valid now.
            photos = photos.filter(decision=decision, status=Photo.Status.PREDICTED)
        if diagnosis := chosen.get("diagnosis"):
            photos = photos.filter(diagnosis=diagnosis)
        if site := chosen.get("site"):
            photos = photos.filter(anatom_site_general=site)
        if finding := chosen.get("finding"):
            recorded = Finding.objects.filter(photo=OuterRef("pk"))
            if finding == Finding.Source.HISTOPATHOLOGY:
                recorded = recorded.filter(source=finding)
            photos = photos.filter(~Exists(recorded) if finding == "no" else Exists(recorded))
        if reader := chosen.get("reader"):
            photos = photos.filter(
                Exists(Reading.objects.filter(photo=OuterRef("pk"), reader=reader, recorded__isnull=False))
            )
        if disagreement := chosen.get("disagreement"):
            photos = photos.filter(_compared(differs=disagreement == "yes"))
        if since := chosen.get("since"):
            photos = photos.filter(created__gte=_local_midnight(since))
        if until := chosen.get("until"):
            photos = photos.filter(created__lt=_local_midnight(until + timedelta(days=1)))
        return photos


def _compared(*, differs: bool) -> Exists:
    """Photos with a finding that agrees, or does not agree, with the classifier."""
    named = Reading.objects.filter(
        photo=OuterRef("pk"), recorded__isnull=False, answer=Reading.Answer.DIAGNOSIS, assessment__isnull=False
    )
    same = Q(diagnosis=OuterRef("diagnosis"))
    return Exists(named.exclude(same) if differs else named.filter(same))


def _local_midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
