"""Own keyset paging: pages that start at a place in an order, not after a number of rows.

A numbered page makes the database walk over everything before it, and rows that arrive meanwhile push others onto
the page already read. A cursor instead names the row a page starts beside: page 1,000 costs what page 1 costs, and
walking never misses a row nor shows one twice while others come and go.

An order is one column with `id` (descending) as the tie-breaker, as in the indexes of `Photo`. Rows without a value
come last; they are asked for separately, because one condition over both kinds would keep the index from being used.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet

PAGE_SIZE: Final = 24  # full rows of two, three and four tiles
MAX_CURSOR: Final = 300  # characters; an honest one has about 100

Kind = Literal["time", "share"]
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Order:
    """How a list is sorted: by `column`, a moment ("time") or a number ("share"); empty values last.

    `name` marks its cursors, so that one made for another order is not misread.
    """

    name: str
    column: str
    kind: Kind
    descending: bool = True
    nullable: bool = False


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of rows and the cursors beside it; an empty cursor means that there is nothing on that side."""

    rows: list[Row]
    older: str = ""
    newer: str = ""
    is_first: bool = field(default=False)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class _Place:
    """Beside which row a page starts, and on which side of it the page lies."""

    backwards: bool
    value: datetime | float | None
    pk: UUID


def page_of(rows: QuerySet[Row], *, order: Order, cursor: str = "", size: int = PAGE_SIZE) -> Page[Row]:
    """The page of `rows` that `cursor` names; without a cursor, or with one that means nothing, the first page.

    `rows` must have a UUID primary key. At most two queries, whatever the page.
    """
    place = _read(cursor, order)
    backwards = place is not None and place.backwards
    found: list[Row] = []
    for segment in _segments(rows, order, place):
        if len(found) <= size:
            found += segment[: size + 1 - len(found)]
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    has_newer = more if backwards else place is not None
    has_older = True if backwards else more
    return Page(
        rows=found,
        older=_write(order, found[-1], backwards=False) if found and has_older else "",
        newer=_write(order, found[0], backwards=True) if found and has_newer else "",
        is_first=place is None,
    )


def _segments(rows: QuerySet[Row], order: Order, place: _Place | None) -> Iterator[QuerySet[Row]]:
    """The rows beyond `place` in reading order: those with a value and those without, each an index scan."""
    backwards = place is not None and place.backwards
    column = order.column
    # Walking backwards turns both the column and the tie-breaker round.
    descending = order.descending != backwards
    nulls: dict[str, bool] = ({"nulls_first": True} if backwards else {"nulls_last": True}) if order.nullable else {}
    value_order = F(column).desc(**nulls) if descending else F(column).asc(**nulls)
    tie_order = "pk" if backwards else "-pk"
    tie = "pk__gt" if backwards else "pk__lt"

    with_value = rows.order_by(value_order, tie_order)
    if order.nullable:
        with_value = with_value.filter(**{f"{column}__isnull": False})
    without_value = rows.filter(**{f"{column}__isnull": True}).order_by(tie_order) if order.nullable else rows.none()

    if place is None:
        yield with_value
        yield without_value
    elif place.value is None:
        yield without_value.filter(**{tie: place.pk})
        if backwards:
            yield with_value
    else:
        # The first condition alone is what the index can start from; the second drops the ties already seen.
        reach, beyond = ("lte", "lt") if descending else ("gte", "gt")
        yield with_value.filter(
            Q(**{f"{column}__{reach}": place.value}),
            Q(**{f"{column}__{beyond}": place.value}) | Q(**{tie: place.pk}),
        )
        if not backwards:
            yield without_value


def _write(order: Order, row: Model, *, backwards: bool) -> str:
    value = getattr(row, order.column)
    plain: list[Any] = [
        order.name,
        int(backwards),
        value.isoformat() if isinstance(value, datetime) else value,
        row.pk.hex,
    ]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str, order: Order) -> _Place | None:
    """What a cursor says, or None where it is empty, damaged, made up, or made for another order."""
    if not cursor or len(cursor) > MAX_CURSOR:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, backwards, value, pk = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        if name != order.name or backwards not in {0, 1} or not isinstance(pk, str):
            return None
        if value is None:
            return _Place(bool(backwards), None, UUID(pk)) if order.nullable else None
        return _Place(bool(backwards), _time(value) if order.kind == "time" else _share(value), UUID(pk))
    except (ValueError, TypeError, RecursionError, OverflowError, UnicodeError, binascii.Error):
        return None


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("A moment is written as text.")
    moment = datetime.fromisoformat(value)
    # PostgreSQL's connector shifts to UTC, which leaves the calendar at its two ends.
    if moment.tzinfo is None or not 1900 <= moment.year <= 9000:
        raise ValueError("Not a moment we can have written.")
    # Python has offsets of nearly a day, PostgreSQL of less than 16 hours: what reaches it is UTC.
    return moment.astimezone(UTC)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("Not a number we can have written.")
    return float(value)
