"""Own what the database counts of readings: how often which answers met, for the statistics of `diagnoses.agreement`.

The database groups: what arrives here is one row for each kind of reading, however many readings there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Subquery

from diagnoses.agreement import Change, Pair, add_up
from diagnoses.inference.assessment import Decision
from diagnoses.models import Finding, Reading


@dataclass(frozen=True)
class Counted:
    """So many readings of one reader were of this kind."""

    reader: int
    change: Change
    count: int


@dataclass(frozen=True)
class CountedPair:
    """So many photos were read by these two with these diagnoses, blind and at the end; "" where one named none."""

    first: int
    second: int
    blind: Pair
    final: Pair
    count: int


def counted_readings(*, since: datetime, until: datetime) -> list[Counted]:
    """Recorded readings from `since` until before `until`, by reader and kind; one query."""
    tissue = Finding.objects.filter(photo=OuterRef("photo"), source=Finding.Source.HISTOPATHOLOGY)
    rows = (
        Reading.objects.recorded()
        .filter(recorded__gte=since, recorded__lt=until)
        .annotate(truth=Subquery(tissue.order_by("-created", "-pk").values("diagnosis")[:1]))
        .order_by()
        .values_list(
            "reader", "blind_answer", "blind_diagnosis", "answer", "diagnosis", "prediction__diagnosis",
            "prediction__decision", "truth",
        )
        .annotate(count=Count("pk"))
    )  # fmt: skip
    counted = []
    for reader, blind_answer, blind_code, answer, code, predicted, decision, truth, count in rows:
        # A picture that a gate refused has no answer that one could agree with.
        machine = "" if predicted is None or decision == Decision.NOT_ASSESSED else predicted
        change = Change(blind_code or blind_answer, machine, code or answer, truth or "")
        counted.append(Counted(reader, change, count))
    return counted


def counted_pairs(*, since: datetime, until: datetime) -> list[CountedPair]:
    """First and second readings of one photo, by the day of the second; one query."""
    first = Reading.objects.filter(photo=OuterRef("photo"), role=Reading.Role.FIRST, recorded__isnull=False)
    rows = (
        Reading.objects.recorded()
        .filter(role=Reading.Role.SECOND, recorded__gte=since, recorded__lt=until)
        .annotate(
            first_reader=Subquery(first.values("reader")[:1]),
            first_blind=Subquery(first.values("blind_diagnosis")[:1]),
            first_final=Subquery(first.values("diagnosis")[:1]),
        )
        .order_by()
        .values_list("first_reader", "reader", "first_blind", "blind_diagnosis", "first_final", "diagnosis")
        .annotate(count=Count("pk"))
    )
    return [
        CountedPair(one, two, (one_blind, two_blind), (one_final, two_final), count)
        for one, two, one_blind, two_blind, one_final, two_final, count in rows
        if one is not None
    ]


def table_of(counted: Iterable[Counted], one: str, other: str) -> dict[Pair, int]:
    """A table of two fields of `Change`, such as "blind" and "predicted"."""
    return add_up(((getattr(each.change, one), getattr(each.change, other)), each.count) for each in counted)


def changes_of(counted: Iterable[Counted]) -> dict[Change, int]:
    """Readings by kind, whoever read."""
    kinds: dict[Change, int] = {}
    for each in counted:
        kinds[each.change] = kinds.get(each.change, 0) + each.count
    return kinds


def readers_of(counted: Iterable[Counted]) -> dict[int, list[Counted]]:
    """The same rows by reader."""
    by_reader: dict[int, list[Counted]] = {}
    for each in counted:
        by_reader.setdefault(each.reader, []).append(each)
    return by_reader
