"""The worklist of readers: filters, sort order, next photo, CSV file."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.paging import page_of
from diagnoses.photos.models import GroundTruth, Photo, PhotoQuerySet
from diagnoses.readings.export import csv_lines, record_export
from diagnoses.readings.models import Reading
from diagnoses.readings.outcome import Outcome, outcome_of
from diagnoses.readings.rules import answer_of
from diagnoses.readings.worklist import REVIEW_ORDERS, ReviewFilterForm, to_read_by

COUNTED: Final = 1000
"""Longer queues are shown as "over 999", because counting them costs more."""


@require_safe
@signed_in
def review_export(request: SignedInRequest) -> HttpResponseBase:
    """All pages of the worklist with these filters, as CSV. 404 for patients.

    It contains names and addresses only with `?with_patient=`. It is audited before the first line is sent.
    """
    if not request.user.sees_all_patients:
        raise Http404
    form = ReviewFilterForm(request.GET, by=request.user)
    photos = form.chosen_photos(Photo.objects.visible_to(request.user)).order_by("-created", "-pk")
    with_patient = bool(request.GET.get("with_patient"))
    if request.method == "HEAD":
        return StreamingHttpResponse(content_type="text/csv; charset=utf-8")
    record_export(by=request.user, rows=photos.count(), with_patient=with_patient)
    name = f"teri-photos-{timezone.localdate():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        csv_lines(photos, with_patient=with_patient),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


@dataclass(frozen=True)
class QuickView:
    """A shortcut to frequent filters. `state` is the queue whose length is shown beside it, or ""."""

    label: str | Promise
    query: str
    state: str = ""

    def is_chosen(self, form: ReviewFilterForm) -> bool:
        """Whether the form has exactly these filters."""
        chosen = {name: value for name, value in form.data.items() if value and name in form.fields}
        return chosen == dict(parse_qsl(self.query))


QUICK_VIEWS: Final = (
    QuickView(_("What I can read now"), ""),
    QuickView(_("Not read yet"), "state=unread", Photo.ReviewState.UNREAD.value),
    QuickView(_("Waits for a second reading"), "state=second", Photo.ReviewState.SECOND.value),
    QuickView(_("Waits for adjudication"), "state=adjudication", Photo.ReviewState.ADJUDICATION.value),
    QuickView(_("Asked for by patients"), "state=requested"),
    QuickView(_("Read"), "state=read"),
    QuickView(_("Everything"), "state=all"),
)


@dataclass(frozen=True)
class WorkRow:
    """One photo of the worklist, as one reader may see it.

    If `is_blind`, the page shows neither the prediction nor other readings, because this reader may still read the
    photo blind.
    """

    photo: Photo
    is_blind: bool
    own: Reading | None
    outcome: Outcome | None
    truth: GroundTruth | None

    @property
    def differs(self) -> bool:
        """Whether the ground truth differs from the prediction."""
        answer = "" if self.photo.is_refused else self.photo.diagnosis
        return bool(self.truth and answer and self.truth.diagnosis != answer)

    @property
    def own_differs(self) -> bool:
        """Whether the reader's own diagnosis differs from the prediction that they saw."""
        answer = answer_of(self.own.assessment) if self.own is not None else ""
        return bool(self.own and answer and self.own.diagnosis and self.own.diagnosis != answer)


def work_row(photo: Photo, user: User) -> WorkRow:
    """The row of `photo`. Uses the related rows of `for_worklist`."""
    mine = [reading for reading in photo.readings.all() if reading.reader_id == user.pk and reading.recorded]
    is_blind = photo.review_state != Photo.ReviewState.READ and not mine and photo.owner_id != user.pk
    return WorkRow(
        photo=photo,
        is_blind=is_blind,
        own=mine[0] if mine else None,
        outcome=None if is_blind else outcome_of(photo),
        truth=None if is_blind else photo.ground_truth,
    )


def for_worklist(photos: PhotoQuerySet) -> PhotoQuerySet:
    """The photos with the related rows of the worklist, in a constant number of queries."""
    return (
        photos.select_related("owner", "lesion", "history", "recognised_as")
        .prefetch_related("findings", "readings__assessment")
        .defer("content_hash", "recognised_as__content_hash")
    )


@require_safe
@signed_in
def review_list(request: SignedInRequest) -> HttpResponse:
    """The photos of all patients, filtered and sorted by the URL. By default the photos this user may read now.

    404 for patients.
    """
    user = request.user
    if not user.sees_all_patients:
        raise Http404
    form = ReviewFilterForm(request.GET, by=user)
    photos = form.narrow(for_worklist(Photo.objects.visible_to(user)))
    page = page_of(photos, order=form.order, cursor=request.GET.get("cursor", ""), apart=form.apart)
    lengths = queue_lengths(user)
    context: dict[str, Any] = {
        "form": form,
        "page": page,
        "work": [work_row(photo, user) for photo in page],
        "sorted_by": form.order.name,
        "narrowed": bool(form.in_use or form.shown_state != "to-read"),
        # The file has all pages of the list.
        "kept": [(name, value) for name, value in request.GET.items() if value and name in form.fields],
        "counted": COUNTED - 1,
        "quick_views": [
            {"label": v.label, "query": v.query, "chosen": v.is_chosen(form), "length": lengths.get(v.state)}
            for v in QUICK_VIEWS
        ],
    }
    return render(request, "diagnoses/readings/review_list.html", context)


def queue_lengths(user: User) -> dict[str, int]:
    """The number of photos in each of the three queues, at most `COUNTED`. Three queries."""
    photos = Photo.objects.visible_to(user)
    states = (Photo.ReviewState.UNREAD, Photo.ReviewState.SECOND, Photo.ReviewState.ADJUDICATION)
    return {state.value: photos.filter(review_state=state).order_by()[:COUNTED].count() for state in states}


@require_safe
@signed_in
def review_next(request: SignedInRequest) -> HttpResponse:
    """Redirect to the first photo of the user's worklist. `?not=` leaves out the previous one. 404 for patients."""
    if not request.user.sees_all_patients:
        raise Http404
    seen = request.GET.get("not", "")
    photos = Photo.objects.visible_to(request.user)
    page = page_of(photos, order=REVIEW_ORDERS["worklist"].order, size=2, apart=to_read_by(request.user))
    waiting = [photo for photo in page if str(photo.pk) != seen]
    if not waiting:
        messages.success(request, _now("Nothing is left that you could read now."))
        return redirect("review-list")
    return redirect("reading", photo_id=waiting[0].pk)
