"""Own what the long lists of this app's admin share."""

from typing import Final, TypeVar

from django.db.models import Model

from accounts.admin import ReadOnlyAdmin

M = TypeVar("M", bound=Model)

ROWS: Final = 50  # a page of thumbnails that still loads quickly


class LongListAdmin(ReadOnlyAdmin[M]):
    """Rows to look at, of a table too long to count for every page."""

    list_per_page = ROWS
    show_full_result_count = False
