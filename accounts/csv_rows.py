"""Own rows as CSV that a spreadsheet opens without running anything in it, streamed so that no list is too long."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""A spreadsheet takes a cell that begins with one of these for a formula (RELIABILITY R31)."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""By which spreadsheets know UTF-8; without it Cyrillic is garbled."""


def safe_cell(value: object) -> str:
    """The value as a spreadsheet shows it: a text that would start a formula is marked as text, and no zero byte is in
    it; None is empty.
    """
    if value is None:
        return ""
    clean = str(value).replace("\0", "")
    return f"'{clean}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else clean


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, byte_order_mark: bool = True
) -> Iterator[str]:
    """The file line by line; the byte order mark first, unless programs read the file rather than spreadsheets."""
    writer = csv.writer(_Echo())
    first = writer.writerow([safe_cell(name) for name in header])
    yield BYTE_ORDER_MARK + first if byte_order_mark else first
    for row in rows:
        yield writer.writerow([safe_cell(value) for value in row])


def csv_response(
    name: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, byte_order_mark: bool = True
) -> StreamingHttpResponse:
    """A download named `name`, kept by nobody on the way."""
    lines = csv_lines(header, rows, byte_order_mark=byte_order_mark)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Cache-Control"] = "private, no-store"
    return response
