"""The audit log in the admin: search by person, action, subject and day, and download as CSV."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.admin.rows import ReadOnlyAdmin
from accounts.audit_messages import names_of, sentence
from accounts.csv_rows import csv_response
from accounts.models import AuditEntry, User

ROWS = 100
BATCH = 1000


class ActorFilter(admin.SimpleListFilter):
    """Filter: entries of people, of the application itself, or of the current user."""

    title = _("who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("people", _("People")), ("application", _("The application")), ("me", _("Myself"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        match self.value():
            case "people":
                return queryset.exclude(actor="")
            case "application":
                return queryset.filter(actor="")
            case "me":
                return queryset.filter(actor=str(request.user.pk))
        return queryset


class SentenceList(ChangeList):
    """One page of the log. The names of all people on it are loaded with one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        names = names_of(self.result_list)
        for entry in self.result_list:
            entry.said = sentence(entry, names)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """The log, newest first. Reading it is not audited. Downloading a copy is."""

    list_display = ["created", "said", "subject", "detail_line"]
    list_filter = ["action", ActorFilter, "created"]
    list_per_page = ROWS
    show_full_result_count = False
    search_fields = ["subject"]
    search_help_text = _("The e-mail address of who did it or whom it was done to, or a subject such as photo:…")
    fields = ["created", "said", "actor", "action", "subject", "detail"]
    readonly_fields = ["said"]
    change_list_template = "admin/accounts/auditentry/list.html"

    class Media:
        css = {"all": ["css/admin-home.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SentenceList

    @admin.display(description=_("what happened"))
    def said(self, entry: AuditEntry) -> str:
        return str(getattr(entry, "said", None) or sentence(entry, names_of([entry])))

    @admin.display(description=_("detail"))
    def detail_line(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {value}" for name, value in entry.detail.items()) if entry.detail else "–"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """An e-mail address finds what the person did and what was done to their account. Other terms are subjects."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            keys = [str(pk) for pk in User.objects.filter(email__iexact=term).values_list("pk", flat=True)]
            about = [f"user:{key}" for key in keys]
            return queryset.filter(actor__in=keys) | queryset.filter(subject__in=about), False
        kinds = ("photo", "lesion", "user", "classifier", "consent-text", "share-link", "reading")
        return queryset.filter(subject__in=[term, *(f"{kind}:{term}" for kind in kinds)]), False

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export_view), name="accounts_auditentry_export")
        return [export, *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The filtered entries as CSV."""
        user = request.user
        if not isinstance(user, User) or not user.is_administrator:
            raise PermissionDenied
        entries = self.get_changelist_instance(request).get_queryset(request)
        audit.record(actor=user, action=AuditEntry.Action.LIST_EXPORTED, subject="list:audit-log", rows=entries.count())
        header = ["created", "actor", "actor_name", "action", "said", "subject", "detail"]
        return csv_response(f"audit-log-{timezone.localdate():%Y-%m-%d}.csv", header, _rows(entries))


def _rows(entries: QuerySet[AuditEntry]) -> Iterator[list[object]]:
    """The cells of all entries. Names are loaded one batch at a time."""
    batch: list[AuditEntry] = []
    for entry in entries.iterator(chunk_size=BATCH):
        batch.append(entry)
        if len(batch) == BATCH:
            yield from _cells(batch)
            batch = []
    yield from _cells(batch)


def _cells(batch: list[AuditEntry]) -> Iterator[list[object]]:
    names = names_of(batch)
    for entry in batch:
        yield [
            entry.created.isoformat(timespec="seconds"),
            entry.actor,
            names.get(entry.actor, ""),
            entry.action,
            sentence(entry, names),
            entry.subject,
            json.dumps(entry.detail, ensure_ascii=False, sort_keys=True) if entry.detail else "",
        ]
