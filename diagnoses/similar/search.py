"""Finds the nearest vectors exactly: with pgvector if the database has it, else with NumPy in this process.

Both compare all cases. An approximate index would save only milliseconds at this size (25,000 cases of 128 numbers),
and would need extra results, because cases of the same patient or lesion are left out. The column is an ordinary
`real[]`, so the table and backups do not depend on the extension.
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
"""The header size of a one-dimensional array in PostgreSQL's binary format."""

EXCLUDED_MARK: Final = -2.0
"""A value below every cosine."""


def nearest(
    cases: "QuerySet[FeatureVector]", values: list[float], *, leave_out: "QuerySet[FeatureVector]", count: int
) -> list[tuple[int, float]]:
    """Keys and cosine similarities (-1 to 1) of the `count` nearest of `cases`, without `leave_out`."""
    if has_pgvector():
        return _by_pgvector(cases.exclude(pk__in=leave_out.values("pk")), values, count)
    return _by_numpy(cases, values, set(leave_out.values_list("pk", flat=True)), count)


def has_pgvector() -> bool:
    """Whether the pgvector extension is installed in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regtype('vector') IS NOT NULL")
        return bool(cursor.fetchone()[0])


class _Vector(Field[str, str]):
    """pgvector's type, used only in casts."""

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
    """The cases of one classifier at the time of `state`: keys int64 (n,), rows float32 (n, DIMENSIONS)."""

    state: tuple[int, int]
    keys: NDArray[np.int64]
    rows: NDArray[np.float32]


_lock = threading.Lock()
_kept: dict[str, _Matrix] = {}
"""The cached matrix of this process (13 MB for 25,000 cases), by the query that selects its cases."""


def _by_numpy(
    cases: "QuerySet[FeatureVector]", values: list[float], leave_out: set[int], count: int
) -> list[tuple[int, float]]:
    matrix = _current(cases)
    similarities = matrix.rows @ np.asarray(values, dtype=np.float32)
    similarities[np.isin(matrix.keys, list(leave_out))] = EXCLUDED_MARK
    # First select the nearest without order: sorting all takes longer than comparing them.
    near = np.argpartition(-similarities, count)[:count] if len(similarities) > count else np.arange(len(similarities))
    best = near[np.lexsort((matrix.keys[near], -similarities[near]))]
    return [(int(matrix.keys[at]), float(similarities[at])) for at in best if similarities[at] > EXCLUDED_MARK]


def _current(cases: "QuerySet[FeatureVector]") -> _Matrix:
    """The matrix of these cases. Read again if cases were added or deleted."""
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
        _kept.clear()  # the old matrix belongs to a classifier that is no longer live
        _kept[name] = matrix
    return matrix


def read_matrix(cases: "QuerySet[FeatureVector]") -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys int64 (n,) and vectors float32 (n, DIMENSIONS) of these cases, ordered by key.

    Uses PostgreSQL's binary format, which NumPy reads directly. Text takes about twenty times as long.
    """
    sent = Func("values", function="array_send", output_field=BinaryField())
    found = list(cases.order_by("pk").annotate(sent=sent).values_list("pk", "sent"))
    keys = np.array([pk for pk, _sent in found], dtype=np.int64)
    # Each number: its length (4), then its value, big-endian.
    pairs = np.frombuffer(b"".join(bytes(sent)[ARRAY_HEADER:] for _pk, sent in found), dtype=">f4")
    return keys, pairs.reshape(len(found), DIMENSIONS, 2)[:, :, 1].astype(np.float32)
