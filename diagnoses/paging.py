"""Keyset pagination: a page starts at a row in a sort order, not after a number of rows.

With numbered pages the database reads all rows before the page, and new rows shift the following pages. A cursor names
the row next to which a page starts. Page 1,000 costs the same as page 1, and no row is missed or shown twice while rows
are added or deleted.

A sort order has one or more columns, with `id` as the tie-breaker, as in the indexes of `Photo`. Rows without a value
come last. The rows beyond a cursor are selected in pieces: the rows that equal it in all columns but the last, in all
but the last two, and so on; rows without a value are a separate piece. Each piece is one range of the index. A single
condition for all of them could not use the index. One query selects the keys of all pieces, a second one the rows.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet

PAGE_SIZE: Final = 24  # fills rows of two, three and four tiles
MAX_CURSOR: Final = 300  # characters; a valid cursor has at most about 150
MAX_RANK: Final = 1000

Kind = Literal["time", "share", "rank"]
Value = datetime | float | None
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Key:
    """One column of an order: a moment ("time"), a number ("share") or a small integer ("rank"). Empty values last."""

    column: str
    kind: Kind
    descending: bool = True
    nullable: bool = False


@dataclass(frozen=True)
class Order:
    """A sort order: by `column`, then by the columns of `then`, last by `id`. Empty values last.

    `name` is part of its cursors, so that a cursor of another order is not accepted.
    """

    name: str
    column: str
    kind: Kind
    descending: bool = True
    nullable: bool = False
    then: tuple[Key, ...] = ()
    id_descending: bool = True

    @property
    def keys(self) -> tuple[Key, ...]:
        """All columns except `id`."""
        return (Key(self.column, self.kind, self.descending, self.nullable), *self.then)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of rows, with the cursors of the previous and next page. An empty cursor means that there is none."""

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
    """The row next to which a page starts, and the side of it on which the page is."""

    backwards: bool
    values: tuple[Value, ...]
    pk: UUID


def page_of(
    rows: QuerySet[Row],
    *,
    order: Order,
    cursor: str = "",
    size: int = PAGE_SIZE,
    apart: Sequence[Q] = (Q(),),
) -> Page[Row]:
    """The page of `rows` at `cursor`. Without a valid cursor, the first page.

    `rows` must have a UUID primary key. `apart` are conditions that exclude each other and together select the rows.
    Each is a separate piece, so that an index that begins with their columns can be used. Always two queries, plus
    those of `prefetch_related`.
    """
    place = _read(cursor, order)
    backwards = place is not None and place.backwards
    columns = [key.column for key in order.keys]
    pieces = [
        piece.values_list("pk", *columns)[: size + 1]
        for condition in apart
        for piece in _pieces(_bare(rows.filter(condition)), order, place)
    ]
    found: list[tuple[Any, ...]] = []
    if pieces:
        # A union of a single query would lose its order.
        found = list(pieces[0] if len(pieces) == 1 else pieces[0].union(*pieces[1:], all=True))
    found.sort(key=lambda each: _sort_key(order, each[1:], each[0]), reverse=backwards)
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    whole = {row.pk: row for row in rows.filter(pk__in=[each[0] for each in found]).order_by()} if found else {}
    has_newer = more if backwards else place is not None
    has_older = True if backwards else more
    return Page(
        # Rows deleted between the two queries are left out.
        rows=[whole[each[0]] for each in found if each[0] in whole],
        older=_write(order, found[-1], backwards=False) if found and has_older else "",
        newer=_write(order, found[0], backwards=True) if found and has_newer else "",
        is_first=place is None,
    )


def _bare(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The same rows without joins and prefetches for display."""
    return rows.prefetch_related(None).select_related(None)


def _pieces(rows: QuerySet[Row], order: Order, place: _Place | None) -> Iterator[QuerySet[Row]]:
    """The rows beyond `place`, as sorted pieces. Each piece is one range of an index."""
    backwards = place is not None and place.backwards
    by = [_expression(key, backwards) for key in order.keys]
    id_descending = order.id_descending != backwards
    rows = rows.order_by(*by, "-pk" if id_descending else "pk")
    if place is None:
        yield rows
        return
    tied: dict[str, Any] = {}
    pieces: list[QuerySet[Row]] = []
    for key, value in zip(order.keys, place.values, strict=True):
        beyond = "lt" if key.descending != backwards else "gt"
        if value is not None:
            pieces.append(rows.filter(**tied, **{f"{key.column}__{beyond}": value}))
            if key.nullable and not backwards:
                pieces.append(rows.filter(**tied, **{f"{key.column}__isnull": True}))
            tied[key.column] = value
        else:
            if backwards:
                pieces.append(rows.filter(**tied, **{f"{key.column}__isnull": False}))
            tied[f"{key.column}__isnull"] = True
    pieces.append(rows.filter(**tied, **{"pk__lt" if id_descending else "pk__gt": place.pk}))
    yield from reversed(pieces)


def _expression(key: Key, backwards: bool) -> Any:
    """The sort expression of a column in the direction of paging. Empty values are at the end of the order."""
    nulls: dict[str, bool] = {}
    if key.nullable:
        nulls = {"nulls_first": True} if backwards else {"nulls_last": True}
    return F(key.column).desc(**nulls) if key.descending != backwards else F(key.column).asc(**nulls)


def _sort_key(order: Order, values: Sequence[Any], pk: UUID) -> tuple[Any, ...]:
    """The key that sorts rows in Python as the database does: UUIDs by their bytes, empty values last."""
    parts: list[Any] = []
    for key, value in zip(order.keys, values, strict=True):
        number = value.timestamp() if isinstance(value, datetime) else value
        # PostgreSQL stores microseconds. A float of seconds since 1970 is precise enough.
        parts += [value is None, 0 if number is None else (-number if key.descending else number)]
    return (*parts, -pk.int if order.id_descending else pk.int)


def _write(order: Order, row: Sequence[Any], *, backwards: bool) -> str:
    pk, *values = row
    plain: list[Any] = [
        order.name,
        int(backwards),
        *(value.isoformat() if isinstance(value, datetime) else value for value in values),
        pk.hex,
    ]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str, order: Order) -> _Place | None:
    """The place that a cursor encodes. None if it is empty, invalid or of another order."""
    if not cursor or len(cursor) > MAX_CURSOR:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, backwards, *values, pk = json.loads(
            base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        )
        if name != order.name or backwards not in {0, 1} or not isinstance(pk, str):
            return None
        read = tuple(_value(key, value) for key, value in zip(order.keys, values, strict=True))
        return _Place(bool(backwards), read, UUID(pk))
    except (ValueError, TypeError, RecursionError, OverflowError, UnicodeError, binascii.Error):
        return None


def _value(key: Key, value: object) -> Value:
    if value is None:
        if not key.nullable:
            raise ValueError("This column always has a value.")
        return None
    if key.kind == "time":
        return _time(value)
    return _share(value) if key.kind == "share" else _rank(value)


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("A moment is written as text.")
    moment = datetime.fromisoformat(value)
    # The database driver converts to UTC, which overflows at both ends of the calendar.
    if moment.tzinfo is None or not 1900 <= moment.year <= 9000:
        raise ValueError("Not a moment we can have written.")
    # Python allows offsets of nearly a day, PostgreSQL less than 16 hours, so convert to UTC.
    return moment.astimezone(UTC)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("Not a number we can have written.")
    return float(value)


def _rank(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RANK:
        raise ValueError("Not a rank we can have written.")
    return value
