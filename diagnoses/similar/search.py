"""Own finding the nearest vectors, exactly: by pgvector where the database has it, else by NumPy in this process.

Both compare every case. An approximate index would save milliseconds at this size (25,000 cases of 128 numbers) and
would have to be asked for more than is wanted, since whatever belongs to the same patient or lesion is left out. The
column is an ordinary `real[]`, so neither the table nor a backup depends on the extension.
"""

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BinaryField, Count, Field, FloatField, Func, QuerySet, Sum, Value
from django.db.models.functions import Cast
from numpy.typing import NDArray

from diagnoses.similar.models import DIMENSIONS, FeatureVector

ARRAY_HEADER: Final = 20
"""Bytes before the numbers in PostgreSQL's binary form of a one-dimensional array."""

EXCLUDED_MARK: Final = -2.0
"""Below every cosine."""


def nearest(
    cases: "QuerySet[FeatureVector]", values: list[float], *, leave_out: "QuerySet[FeatureVector]", count: int
) -> list[tuple[int, float]]:
    """Keys and cosine similarities (-1 to 1) of the `count` nearest of `cases` that are not in `leave_out`."""
    if has_pgvector():
        return _by_pgvector(cases.exclude(pk__in=leave_out.values("pk")), values, count)
    return _by_numpy(cases, values, set(leave_out.values_list("pk", flat=True)), count)


def has_pgvector() -> bool:
    """Whether the extension is switched on in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regtype('vector') IS NOT NULL")
        return bool(cursor.fetchone()[0])


class _Vector(Field[str, str]):
    """pgvector's own type; only ever cast to."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return f"vector({DIMENSIONS})"


def _by_pgvector(cases: "QuerySet[FeatureVector]", values: list[float], count: int) -> list[tuple[int, float]]:
    literal = "[" + ",".join(map(str, values)) + "]"
    distance = Func(
        Cast("values", _Vector()),
        Cast(Value(literal), _Vector()),
        template="(%(expressions)s)",
        arg_joiner=" <=> ",
        output_field=FloatField(),
    )
    rows = cases.annotate(distance=distance).order_by("distance", "pk").values_list("pk", "distance")[:count]
    return [(pk, 1.0 - away) for pk, away in rows]


@dataclass(frozen=True, eq=False)
class _Matrix:
    """The cases of one classifier as they were when `state` was true: keys int64 (n,), rows float32 (n, DIMENSIONS)."""

    state: tuple[int, int]
    keys: NDArray[np.int64]
    rows: NDArray[np.float32]


_lock = threading.Lock()
_kept: dict[str, _Matrix] = {}
"""The newest matrix of this process (13 MB for 25,000 cases), by the query that selects its cases."""


def _by_numpy(
    cases: "QuerySet[FeatureVector]", values: list[float], leave_out: set[int], count: int
) -> list[tuple[int, float]]:
    matrix = _current(cases)
    similarities = matrix.rows @ np.asarray(values, dtype=np.float32)
    similarities[np.isin(matrix.keys, list(leave_out))] = EXCLUDED_MARK
    # The nearest in any order first: sorting all of them takes longer than comparing them did.
    near = np.argpartition(-similarities, count)[:count] if len(similarities) > count else np.arange(len(similarities))
    best = near[np.lexsort((matrix.keys[near], -similarities[near]))]
    return [(int(matrix.keys[at]), float(similarities[at])) for at in best if similarities[at] > EXCLUDED_MARK]


def _current(cases: "QuerySet[FeatureVector]") -> _Matrix:
    """The matrix of these cases, read again when any has come or gone."""
    found = cases.aggregate(count=Count("pk"), total=Sum("pk"))
    state = (found["count"], found["total"] or 0)
    name = str(cases.query)
    with _lock:
        kept = _kept.get(name)
    if kept is not None and kept.state == state:
        return kept
    keys, rows = read_matrix(cases)
    matrix = _Matrix(state, keys, rows)
    with _lock:
        _kept.clear()  # the one before belongs to a classifier that is no longer asked
        _kept[name] = matrix
    return matrix


def read_matrix(cases: "QuerySet[FeatureVector]") -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys int64 (n,) and vectors float32 (n, DIMENSIONS) of these cases, ordered by key.

    In PostgreSQL's binary form, which NumPy reads as it is: numbers written as text take some twenty times as long.
    """
    sent = Func("values", function="array_send", output_field=BinaryField())
    found = list(cases.order_by("pk").annotate(sent=sent).values_list("pk", "sent"))
    keys = np.array([pk for pk, _sent in found], dtype=np.int64)
    # Each number: its length (4), then the number itself, big-endian.
    pairs = np.frombuffer(b"".join(bytes(sent)[ARRAY_HEADER:] for _pk, sent in found), dtype=">f4")
    return keys, pairs.reshape(len(found), DIMENSIONS, 2)[:, :, 1].astype(np.float32)
