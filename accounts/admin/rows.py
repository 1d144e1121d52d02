"""Base classes for read-only lists in the admin."""

from typing import Final, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

M = TypeVar("M", bound=Model)

ROWS: Final = 50  # a page of thumbnails that still loads quickly


class ReadOnlyAdmin(admin.ModelAdmin[M]):
    """A read-only list: nothing can be added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class LongListAdmin(ReadOnlyAdmin[M]):
    """A read-only list of a table that is too long to be counted for every page."""

    list_per_page = ROWS
    show_full_result_count = False
