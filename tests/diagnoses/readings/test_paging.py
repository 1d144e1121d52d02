"""Paging through a list: no row is missed or repeated while rows are added."""

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from diagnoses.paging import MAX_CURSOR, Order, Page, page_of
from diagnoses.photos.models import Photo
from diagnoses.readings.worklist import REVIEW_ORDERS

NEWEST = Order("newest", "created", "time")
RISKIEST = Order("riskiest", "malignant_score", "share", nullable=True)
UNSURE = Order("unsure", "confidence", "share", descending=False, nullable=True)
WORKLIST = REVIEW_ORDERS["worklist"].order
URGENT = REVIEW_ORDERS["urgent"].order
ORDERS = [NEWEST, RISKIEST, UNSURE, URGENT, WORKLIST]
DECISIONS = {0: "monitor", 1: "", 2: "soon", 3: "urgent"}
START = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def rows(owner: User, values: list[tuple[int, int | None]]) -> list[Photo]:
    """Photos with few distinct moments and scores, so that there are many ties and empty values."""
    return Photo.objects.bulk_create(
        Photo(
            owner=owner,
            created=START + timedelta(minutes=minute),
            confidence=None if tenth is None else tenth / 10,
            malignant_score=None if tenth is None else tenth / 10,
            # Few priorities, independent of the other columns.
            decision=DECISIONS[(minute + 3 * (tenth or 0)) % 4 if minute % 2 else 0],
            width=1,
            height=1,
            content_hash=b"\0" * 32,
        )
        for minute, tenth in values
    )


def expected(order: Order) -> list[uuid.UUID]:
    """The whole list, sorted in Python and not by the database."""

    def part(value: Any, descending: bool) -> tuple[bool, float]:
        number = value.timestamp() if isinstance(value, datetime) else value
        return (number is None, 0 if number is None else (-number if descending else number))

    def key(photo: Photo) -> tuple[Any, ...]:
        parts = [part(getattr(photo, each.column), each.descending) for each in order.keys]
        return (*parts, -photo.pk.int if order.id_descending else photo.pk.int)

    return [photo.pk for photo in sorted(Photo.objects.all(), key=key)]


def walk(order: Order, size: int, between: Callable[[], object] = lambda: None) -> list[Page[Photo]]:
    pages = [page_of(Photo.objects.all(), order=order, size=size)]
    while pages[-1].older:
        between()
        pages.append(page_of(Photo.objects.all(), order=order, cursor=pages[-1].older, size=size))
    return pages


def ids(pages: list[Page[Photo]]) -> list[uuid.UUID]:
    return [photo.pk for page in pages for photo in page]


VALUES = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 3)), max_size=14)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
@given(values=VALUES, size=st.integers(1, 5))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_walking_down_and_up_again_reads_every_row_once(
    order: Order, patient: User, values: list[tuple[int, int | None]], size: int
) -> None:
    Photo.objects.all().delete()
    rows(patient, values)
    pages = walk(order, size)
    assert ids(pages) == expected(order)
    assert all(len(page) == size for page in pages[:-1])
    assert not pages[0].newer

    up = [pages[-1]]
    while up[-1].newer:
        up.append(page_of(Photo.objects.all(), order=order, cursor=up[-1].newer, size=size))
    assert ids(up[::-1]) == expected(order)


def test_rows_that_arrive_while_reading_move_nothing(patient: User) -> None:
    before = {photo.pk for photo in rows(patient, [(minute, None) for minute in range(10)])}
    late = iter(range(100, 200))
    pages = walk(NEWEST, 3, between=lambda: rows(patient, [(next(late), None), (next(late), None)]))
    read = ids(pages)
    assert len(read) == len(set(read))
    assert set(read) == before


def test_rows_deleted_while_reading_leave_no_gap(patient: User) -> None:
    made = rows(patient, [(minute, None) for minute in range(9)])
    first = page_of(Photo.objects.all(), order=NEWEST, size=3)
    # The row of the cursor itself.
    first.rows[-1].delete()
    second = page_of(Photo.objects.all(), order=NEWEST, cursor=first.older, size=3)
    assert [photo.pk for photo in second] == [photo.pk for photo in reversed(made[3:6])]


def cursor_of(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


KEY = uuid.uuid4().hex
BAD = {
    "not base64": "§§§",
    "not JSON": base64.urlsafe_b64encode(b"hello").decode(),
    "not a list": base64.urlsafe_b64encode(b"7").decode(),
    "too short": cursor_of("newest", 0),
    "of another order": cursor_of("riskiest", 0, 0.5, KEY),
    "no direction": cursor_of("newest", 7, START.isoformat(), KEY),
    "a list for a direction": cursor_of("newest", [], START.isoformat(), KEY),
    "no moment": cursor_of("newest", 0, "yesterday", KEY),
    "a moment without a zone": cursor_of("newest", 0, "2026-01-01T00:00:00", KEY),
    "before the calendar": cursor_of("newest", 0, "0001-01-01T00:00:00+14:00", KEY),
    "far from any zone": cursor_of("newest", 0, "2026-01-01T00:00:00+99:00", KEY),
    "empty where nothing is": cursor_of("newest", 0, None, KEY),
    "a number for a moment": cursor_of("newest", 0, 3, KEY),
    "too few values": cursor_of("worklist", 0, 3, KEY),
    "no id": cursor_of("newest", 0, START.isoformat(), "me"),
    "a number for an id": cursor_of("newest", 0, START.isoformat(), 3),
    "very long": "A" * (MAX_CURSOR + 1),
    "deeply nested": base64.urlsafe_b64encode(b"[" * 200).decode(),
    "nul": "\0",
}


@pytest.mark.parametrize("cursor", BAD.values(), ids=BAD.keys())
def test_a_bad_cursor_gives_the_first_page(patient: User, cursor: str) -> None:
    rows(patient, [(minute, None) for minute in range(4)])
    page = page_of(Photo.objects.all(), order=NEWEST, cursor=cursor, size=3)
    assert page.is_first
    assert ids([page]) == expected(NEWEST)[:3]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"0.5"', "[]"])
def test_a_bad_share_gives_the_first_page(patient: User, value: str) -> None:
    rows(patient, [(0, 1), (0, 2)])
    raw = f'["riskiest", 0, {value}, "{KEY}"]'.encode()
    page = page_of(Photo.objects.all(), order=RISKIEST, cursor=base64.urlsafe_b64encode(raw).decode(), size=1)
    assert page.is_first


@pytest.mark.parametrize("order", ORDERS[:3], ids=lambda order: order.name)
def test_a_page_starts_from_an_index_at_its_cursor(patient: User, order: Order) -> None:
    """Otherwise page 1,000 would read 999 pages first. Both directions, in the middle of the list and near its end."""
    rows(patient, [(minute, None if minute % 10 == 0 else minute % 10) for minute in range(4000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE diagnoses_photo")
    pages = walk(order, 500)
    for beside in (pages[4].older, pages[4].newer, pages[6].older):
        with CaptureQueriesContext(connection) as captured:
            page_of(Photo.objects.all(), order=order, cursor=beside, size=5)
        assert captured.captured_queries
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + captured.captured_queries[0]["sql"])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Index Cond" in plan, plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00+20:00", "2026-01-01T00:00:00-23:59:59.999999"])
def test_an_offset_that_only_python_knows_does_not_reach_the_database(db: None, moment: str) -> None:
    assert not page_of(Photo.objects.all(), order=NEWEST, cursor=cursor_of("newest", 0, moment, KEY)).rows


APART = [Q(review_state="unread"), Q(review_state="second"), Q(review_state="adjudication")]


@given(values=st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 1), st.integers(0, 2)), max_size=14))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_is_asked_for_apart_is_one_list(patient: User, values: list[tuple[int, int | None, int]]) -> None:
    Photo.objects.all().delete()
    made = rows(patient, [(minute, tenth) for minute, tenth, _ in values])
    states = ("unread", "second", "adjudication")
    for photo, (_, _, state) in zip(made, values, strict=True):
        Photo.objects.filter(pk=photo.pk).update(review_state=states[state])
    pages = [page_of(Photo.objects.all(), order=WORKLIST, size=3, apart=APART)]
    while pages[-1].older:
        pages.append(page_of(Photo.objects.all(), order=WORKLIST, cursor=pages[-1].older, size=3, apart=APART))
    assert ids(pages) == expected(WORKLIST)
    up = [pages[-1]]
    while up[-1].newer:
        up.append(page_of(Photo.objects.all(), order=WORKLIST, cursor=up[-1].newer, size=3, apart=APART))
    assert ids(up[::-1]) == expected(WORKLIST)


def test_the_worklist_starts_from_its_index_at_a_cursor(patient: User) -> None:
    rows(patient, [(minute, None if minute % 10 == 0 else minute % 10) for minute in range(4000)])
    Photo.objects.filter(pk__in=Photo.objects.order_by("pk").values("pk")[:300]).update(review_state="second")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE diagnoses_photo")
    first = page_of(Photo.objects.all(), order=WORKLIST, size=40, apart=APART)
    with CaptureQueriesContext(connection) as captured:
        page_of(Photo.objects.all(), order=WORKLIST, cursor=first.older, size=40, apart=APART)
    assert len(captured.captured_queries) == 2
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + captured.captured_queries[0]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "photo_worklist" in plan, plan
    assert "Seq Scan" not in plan, plan
