"""Findings and readings in the admin: read only."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import LongListAdmin
from diagnoses.readings.models import Finding, Reading


@admin.register(Finding)
class FindingAdmin(LongListAdmin[Finding]):
    """Findings of clinicians and pathologists, read only. A database trigger makes them append-only."""

    list_display = ["id", "photo_id", "diagnosis", "source", "recorded_by", "created"]
    list_filter = ["diagnosis", "source", "created"]
    list_select_related = ["recorded_by"]
    search_fields = ["photo__id__exact", "photo__owner__email", "recorded_by__email"]
    search_help_text = _("A photo's id, or the e-mail address of its owner or of who recorded the finding.")
    fields = ["id", "photo", "assessment", "reading", "diagnosis", "source", "note", "recorded_by", "created"]


@admin.register(Reading)
class ReadingAdmin(LongListAdmin[Reading]):
    """Blind and final answers of clinicians, read only. A database trigger lets each step be written once."""

    list_display = [
        "id", "photo_id", "reader", "role", "blind_answer", "blind_diagnosis", "answer", "diagnosis", "management",
        "recorded",
    ]  # fmt: skip
    list_filter = ["role", "answer", "diagnosis", "management", "recorded"]
    list_select_related = ["reader"]
    search_fields = ["photo__id__exact", "reader__email"]
    search_help_text = _("A photo's id, or the e-mail address of the reader.")
    fields = [
        "id", "photo", "reader", "role", "begun", "blind_answer", "blind_diagnosis", "revealed", "assessment", "answer",
        "diagnosis", "management", "monitor_months", "override_reason", "note", "recorded",
    ]  # fmt: skip
