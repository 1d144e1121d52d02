"""Notifications in the admin: who got which kind when, and which e-mails wait. Their content is not shown."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import ReadOnlyAdmin
from accounts.models import Notification

ROWS = 100


class SendingFilter(admin.SimpleListFilter):
    """Filter by the state of the e-mail."""

    title = _("e-mail")
    parameter_name = "sending"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("waiting", _("Waits to be sent")), ("sent", _("Sent")), ("none", _("None wanted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notification]) -> QuerySet[Notification]:
        chosen = {
            "waiting": Q(email_due=True, emailed__isnull=True),
            "sent": Q(emailed__isnull=False),
            "none": Q(email_due=False, emailed__isnull=True),
        }.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else queryset


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin[Notification]):
    """Who was notified of what, and when the e-mail was sent."""

    list_display = ["created", "user", "kind", "read", "emailed", "email_attempts"]
    list_filter = [SendingFilter, "kind", "created"]
    list_select_related = ["user"]
    list_per_page = ROWS
    show_full_result_count = False
    search_fields = ["user__email", "subject__exact"]
    search_help_text = _("An e-mail address, or what the news is about, such as photo:…")
    fields = ["user", "kind", "subject", "created", "read", "email_due", "emailed", "email_attempts"]
