"""Readings by lesion and combination of answers, for the statistics of `recognition.evaluation.agreement`.

One short row of each reading is read. Lesions of which the same was read are then one entry, so that no statistic goes
through the readings again.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Case, FilteredRelation, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from diagnoses.photos.models import PhotoAssessment
from diagnoses.readings.models import Finding, Reading
from recognition.evaluation.agreement import Change, LabelPair, counted_lesions, pairs_only
from recognition.inference.assessment import Decision


class Read(NamedTuple):
    """One reading: who read, the answers, and the kind of picture ("" if not known)."""

    reader: int
    change: Change
    image_type: str


class ReadTwice(NamedTuple):
    """A photo that two readers read, with their diagnoses, blind and final ("" is none), and the kind of picture."""

    first: int
    second: int
    blind: LabelPair
    final: LabelPair
    image_type: str


Readings = Mapping[tuple[Read, ...], int]
"""How many lesions have just these readings. A photo without a lesion is one by itself."""

Pairs = Mapping[tuple[ReadTwice, ...], int]
"""How many lesions have just these pairs of readings."""


IMAGE_TYPE: Final = Case(
    When(~Q(photo__image_type=""), then="photo__image_type"),
    When(assessment__image_type_source=PhotoAssessment.Source.RECOGNISED, then="assessment__image_type"),
    default=Value(""),
)
"""The kind of picture of a reading: as it is told now, else as it was recognised when the reading was made."""


def counted_readings(*, since: datetime, until: datetime) -> Readings:
    """Readings recorded from `since` until before `until`. Two queries.

    Most photos have no histopathology. They are read without a lookup for each row.
    """
    tissue = Finding.objects.filter(photo=OuterRef("photo"), source=Finding.Source.HISTOPATHOLOGY)
    proven = Finding.objects.filter(source=Finding.Source.HISTOPATHOLOGY).order_by().values("photo")
    readings = Reading.objects.recorded().filter(recorded__gte=since, recorded__lt=until).order_by()
    readings = readings.annotate(spot=Coalesce("photo__lesion", "photo"), kind=IMAGE_TYPE)
    unknown = readings.exclude(photo__in=proven).annotate(truth=Value(""))
    known = readings.filter(photo__in=proven).annotate(
        truth=Subquery(tissue.order_by("-created", "-pk").values("diagnosis")[:1])
    )
    answers = (
        "blind_answer", "blind_diagnosis", "answer", "diagnosis", "assessment__diagnosis", "assessment__decision",
        "truth",
    )  # fmt: skip
    changes: dict[tuple[str | None, ...], Change] = {}
    read = []
    for rows in (unknown, known):
        for spot, reader, image_type, *answered in rows.values_list("spot", "reader", "kind", *answers):
            key = tuple(answered)
            if key not in changes:
                changes[key] = _change(key)
            read.append((spot, Read(reader, changes[key], image_type)))
    return counted_lesions(read)


def _change(answered: tuple[str | None, ...]) -> Change:
    blind_answer, blind_code, answer, code, predicted, decision, truth = answered
    # A refused picture has no answer to agree with.
    machine = "" if decision == Decision.NOT_ASSESSED else predicted
    return Change(blind_code or blind_answer or "", machine or "", code or answer or "", truth or "")


def counted_pairs(*, since: datetime, until: datetime) -> Pairs:
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
        .annotate(spot=Coalesce("photo__lesion", "photo"), kind=IMAGE_TYPE)
        .values_list(
            "spot", "first__reader", "reader", "first__blind_diagnosis", "blind_diagnosis", "first__diagnosis",
            "diagnosis", "kind",
        )
    )  # fmt: skip
    return counted_lesions(
        (spot, ReadTwice(one, two, (one_blind, two_blind), (one_final, two_final), kind))
        for spot, one, two, one_blind, two_blind, one_final, two_final, kind in rows
    )


def image_types_of(readings: Readings) -> set[str]:
    """The kinds of picture that were read."""
    return {each.image_type for read in readings for each in read}


def readings_of(
    readings: Readings, *, reader: int | None = None, image_type: str | None = None
) -> dict[tuple[Change, ...], int]:
    """The answers alone: of one reader or all, of one kind of picture or all."""
    found: Counter[tuple[Change, ...]] = Counter()
    for read, count in readings.items():
        kept = tuple(
            each.change for each in read if reader in {None, each.reader} and image_type in {None, each.image_type}
        )
        if kept:
            found[kept] += count
    return dict(found)


def table_of(changes: Mapping[tuple[Change, ...], int], one: str, other: str) -> dict[tuple[LabelPair, ...], int]:
    """The pairs of two fields of `Change`, such as "blind" and "predicted", in which both name a diagnosis."""
    table: Counter[tuple[LabelPair, ...]] = Counter()
    for read, count in changes.items():
        table[tuple((getattr(change, one), getattr(change, other)) for change in read)] += count
    return pairs_only(table)


def pairs_of(
    pairs: Pairs, answers: str, *, reader: int | None = None, image_type: str | None = None
) -> dict[tuple[LabelPair, ...], int]:
    """The "blind" or "final" pairs in which both name a diagnosis: of one reader with colleagues or of all, of one kind
    of picture or all."""
    table: Counter[tuple[LabelPair, ...]] = Counter()
    for read, count in pairs.items():
        kept = (
            each for each in read if reader in {None, each.first, each.second} and image_type in {None, each.image_type}
        )
        table[tuple(getattr(each, answers) for each in kept)] += count
    return pairs_only(table)


def readers_in(readings: Readings) -> dict[int, int]:
    """The number of readings of each reader."""
    found: Counter[int] = Counter()
    for read, count in readings.items():
        for each in read:
            found[each.reader] += count
    return dict(found)
