"""Streams rows as CSV. Cells that a spreadsheet would run as formulas are escaped."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""A spreadsheet reads a cell that begins with one of these as a formula (RELIABILITY R31)."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""Tells spreadsheets that the file is UTF-8. Without it they garble Cyrillic letters."""


def safe_cell(value: object) -> str:
    """The value as safe text: a formula is marked as text, zero bytes are removed, None becomes empty."""
    if value is None:
        return ""
    clean = str(value).replace("\0", "")
    return f"'{clean}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else clean


class _Echo:
    """A file-like object whose `write` returns its argument, for `csv.writer`."""

    def write(self, text: str) -> str:
        return text


def csv_lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, byte_order_mark: bool = True
) -> Iterator[str]:
    """The file line by line. It begins with the byte order mark, which is left out for files that programs read."""
    writer = csv.writer(_Echo())
    first = writer.writerow([safe_cell(name) for name in header])
    yield BYTE_ORDER_MARK + first if byte_order_mark else first
    for row in rows:
        yield writer.writerow([safe_cell(value) for value in row])


def csv_response(
    name: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, byte_order_mark: bool = True
) -> StreamingHttpResponse:
    """A download named `name` that no proxy or browser caches."""
    lines = csv_lines(header, rows, byte_order_mark=byte_order_mark)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Cache-Control"] = "private, no-store"
    return response
