"""Cursor pagination of lists in the API: newest first, with the same cost for every page."""

from datetime import timedelta
from typing import Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from diagnoses.api.problems import Problem

MAX_OFFSET: Final = timedelta(hours=16)  # PostgreSQL refuses larger offsets from UTC


class NewestFirst(CursorPagination):
    """`?cursor=` as given in `next` and `previous`; `?page_size=` up to 100."""

    ordering = ("-created", "-id")
    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 100

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The cursor of the request. An invalid one is a 400; DRF would pass it to the database."""
        encoded = request.query_params.get(self.cursor_query_param)
        if not encoded:
            return None
        try:
            cursor = super().decode_cursor(request)
            if cursor is None or cursor.position is None:
                return cursor
            moment = parse_datetime(str(cursor.position))
            if moment is not None and abs(moment.utcoffset() or timedelta()) < MAX_OFFSET:
                return cursor
        except Exception as error:
            raise _bad_cursor() from error
        raise _bad_cursor()


def _bad_cursor() -> Problem:
    return Problem(400, "invalid_cursor", gettext("This cursor is not one of ours. Start again from the first page."))
