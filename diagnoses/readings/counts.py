"""Counts of readings by combination of answers, for the statistics of `recognition.evaluation.agreement`.

The database does the grouping, so the number of rows does not grow with the number of readings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, FilteredRelation, OuterRef, Q, Subquery, Value

from diagnoses.readings.models import Finding, Reading
from recognition.evaluation.agreement import Change, LabelPair, add_up
from recognition.inference.assessment import Decision


@dataclass(frozen=True)
class Counted:
    """The number of readings of one reader with this combination of answers."""

    reader: int
    change: Change
    count: int


@dataclass(frozen=True)
class CountedPair:
    """The number of photos that two readers read with these diagnoses, blind and final. "" means no diagnosis."""

    first: int
    second: int
    blind: LabelPair
    final: LabelPair
    count: int


def counted_readings(*, since: datetime, until: datetime) -> list[Counted]:
    """Counts of readings recorded from `since` until before `until`, by reader and combination. Two queries.

    Most photos have no histopathology. They are counted without a lookup for each row.
    """
    tissue = Finding.objects.filter(photo=OuterRef("photo"), source=Finding.Source.HISTOPATHOLOGY)
    proven = Finding.objects.filter(source=Finding.Source.HISTOPATHOLOGY).order_by().values("photo")
    readings = Reading.objects.recorded().filter(recorded__gte=since, recorded__lt=until).order_by()
    unknown = readings.exclude(photo__in=proven).annotate(truth=Value(""))
    known = readings.filter(photo__in=proven).annotate(
        truth=Subquery(tissue.order_by("-created", "-pk").values("diagnosis")[:1])
    )
    kinds = (
        "reader", "blind_answer", "blind_diagnosis", "answer", "diagnosis", "assessment__diagnosis",
        "assessment__decision", "truth",
    )  # fmt: skip
    counted = []
    for rows in (unknown, known):
        for row in rows.values_list(*kinds).annotate(count=Count("pk")):
            reader, blind_answer, blind_code, answer, code, predicted, decision, truth, count = row
            # A refused picture has no answer to agree with.
            machine = "" if predicted is None or decision == Decision.NOT_ASSESSED else predicted
            change = Change(blind_code or blind_answer, machine, code or answer, truth or "")
            counted.append(Counted(reader, change, count))
    return counted


def counted_pairs(*, since: datetime, until: datetime) -> list[CountedPair]:
    """Pairs of first and second readings of a photo, by the day of the second. One query with one join."""
    first = FilteredRelation(
        "photo__readings",
        condition=Q(photo__readings__role=Reading.Role.FIRST, photo__readings__recorded__isnull=False),
    )
    rows = (
        Reading.objects.recorded()
        .alias(first=first)
        .filter(role=Reading.Role.SECOND, recorded__gte=since, recorded__lt=until, first__isnull=False)
        .order_by()
        .values_list(
            "first__reader", "reader", "first__blind_diagnosis", "blind_diagnosis", "first__diagnosis", "diagnosis"
        )
        .annotate(count=Count("pk"))
    )
    return [
        CountedPair(one, two, (one_blind, two_blind), (one_final, two_final), count)
        for one, two, one_blind, two_blind, one_final, two_final, count in rows
    ]


def table_of(counted: Iterable[Counted], one: str, other: str) -> dict[LabelPair, int]:
    """A table of two fields of `Change`, such as "blind" and "predicted"."""
    return add_up(((getattr(each.change, one), getattr(each.change, other)), each.count) for each in counted)


def changes_of(counted: Iterable[Counted]) -> dict[Change, int]:
    """Counts summed over all readers."""
    kinds: dict[Change, int] = {}
    for each in counted:
        kinds[each.change] = kinds.get(each.change, 0) + each.count
    return kinds


def readers_of(counted: Iterable[Counted]) -> dict[int, list[Counted]]:
    """Counts by reader."""
    by_reader: dict[int, list[Counted]] = {}
    for each in counted:
        by_reader.setdefault(each.reader, []).append(each)
    return by_reader
