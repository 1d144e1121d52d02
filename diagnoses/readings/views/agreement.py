"""The agreement page: readers with each other, with the classifier and with histopathology, and changed answers."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.views.access import SignedInRequest, signed_in
from diagnoses.readings.counts import (
    Pairs,
    Readings,
    counted_pairs,
    counted_readings,
    image_types_of,
    pairs_of,
    readers_in,
    readings_of,
    table_of,
)
from diagnoses.readings.forms import PeriodForm
from recognition.evaluation.agreement import (
    MIN_PAIRS,
    Agreement,
    PairLesions,
    Share,
    Switches,
    agreed,
    agreement,
    confusion,
    switches,
)
from recognition.taxonomy import CODES, IMAGE_TYPES

USUAL_PERIOD: Final = timedelta(days=365)


@dataclass(frozen=True)
class PairAgreement:
    """The agreement of one pair of sources. `rows` is the table of counts in ISIC order."""

    label: str | Promise
    agreement: Agreement
    rows: list[tuple[str, list[int]]]
    down: str | Promise = ""
    across: str | Promise = ""


@dataclass(frozen=True)
class ReaderFigures:
    """The figures of one reader."""

    reader: User
    readings: int
    with_classifier: Share | None
    with_colleagues: Share | None
    with_tissue: Share | None
    switches: Switches


@require_safe
@signed_in
def review_agreement(request: SignedInRequest) -> HttpResponse:
    """The statistics of readings in a period. Readers see the totals and their own, administrators all readers.

    404 for patients.
    """
    if not request.user.sees_all_patients:
        raise Http404
    form = PeriodForm(request.GET or None, initial=_usual_period())
    first_day, last_day = form.days
    since, until = _midnight(first_day), _midnight(last_day + timedelta(days=1))
    readings, pairs = counted_readings(since=since, until=until), counted_pairs(since=since, until=until)
    kinds = image_types_of(readings)
    context: dict[str, Any] = {
        "form": form,
        "first_day": first_day,
        "last_day": last_day,
        "readings": sum(readers_in(readings).values()),
        "comparisons": _comparisons(readings, pairs),
        # Of one kind alone nothing stands apart.
        "kinds": [
            (kind, _comparisons(readings, pairs, kind))
            for kind in (*IMAGE_TYPES, "")
            if kind in kinds and len(kinds) > 1
        ],
        "switches": switches(readings_of(readings)),
        "readers": _readers(request.user, readings, pairs),
        "codes": CODES,
        "min_pairs": MIN_PAIRS,
    }
    return render(request, "diagnoses/readings/agreement.html", context)


def _usual_period() -> dict[str, date]:
    today = timezone.localdate()
    return {"since": today - USUAL_PERIOD, "until": today}


def _comparisons(readings: Readings, pairs: Pairs, image_type: str | None = None) -> list[PairAgreement]:
    """All comparisons, of one kind of picture or of all."""
    counted = readings_of(readings, image_type=image_type)
    first, second, blind = _("First reader"), _("Second reader"), _("Reader, before the prediction is shown")
    final, machine, tissue = _("Reader, final answer"), _("Classifier"), _("Histopathology")
    return [
        _compared(
            _("First and second reader, before the prediction is shown"),
            pairs_of(pairs, "blind", image_type=image_type), first, second,
        ),
        _compared(
            _("First and second reader, final answers"),
            pairs_of(pairs, "final", image_type=image_type), first, second,
        ),
        _compared(
            _("Reader and classifier, before the prediction is shown"),
            table_of(counted, "blind", "predicted"), blind, machine,
        ),
        _compared(
            _("Reader and classifier, final answers"), table_of(counted, "final", "predicted"), final, machine
        ),
        _compared(
            _("Reader before the prediction is shown, and histopathology"),
            table_of(counted, "blind", "truth"), blind, tissue,
        ),
        _compared(_("Reader’s final answer and histopathology"), table_of(counted, "final", "truth"), final, tissue),
        _compared(_("Classifier and histopathology"), table_of(counted, "predicted", "truth"), machine, tissue),
    ]  # fmt: skip


def _compared(label: str | Promise, table: PairLesions, down: str | Promise, across: str | Promise) -> PairAgreement:
    return PairAgreement(label, agreement(table), list(zip(CODES, confusion(table), strict=True)), down, across)


def _readers(user: User, readings: Readings, pairs: Pairs) -> list[ReaderFigures]:
    """The figures of each reader, by name. A clinician gets only their own."""
    counts = readers_in(readings)
    shown = set(counts) if user.is_administrator else set(counts) & {user.pk}
    people = User.objects.filter(pk__in=shown).order_by("name", "email")
    return [_figures(person, counts[person.pk], readings, pairs) for person in people]


def _figures(reader: User, count: int, readings: Readings, pairs: Pairs) -> ReaderFigures:
    counted = readings_of(readings, reader=reader.pk)
    return ReaderFigures(
        reader=reader,
        readings=count,
        with_classifier=agreed(table_of(counted, "blind", "predicted")),
        with_colleagues=agreed(pairs_of(pairs, "final", reader=reader.pk)),
        with_tissue=agreed(table_of(counted, "final", "truth")),
        switches=switches(counted),
    )


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
