"""Own what clinicians said, and what patients set for themselves, in the admin: nothing of it is changed here."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from diagnoses.admin.rows import LongListAdmin
from diagnoses.models import Finding, Reading, Reminder, ShareLink


@admin.register(Finding)
class FindingAdmin(LongListAdmin[Finding]):
    """What clinicians and pathologists said; append-only, by a database trigger too."""

    list_display = ["id", "photo_id", "diagnosis", "source", "recorded_by", "created"]
    list_filter = ["diagnosis", "source", "created"]
    list_select_related = ["recorded_by"]
    search_fields = ["photo__id__exact", "photo__owner__email", "recorded_by__email"]
    search_help_text = _("A photo's id, or the e-mail address of its owner or of who recorded the finding.")
    fields = ["id", "photo", "prediction", "reading", "diagnosis", "source", "note", "recorded_by", "created"]


@admin.register(Reading)
class ReadingAdmin(LongListAdmin[Reading]):
    """Blind and final answers of clinicians; each step is written once, by a database trigger too."""

    list_display = [
        "id", "photo_id", "reader", "role", "blind_answer", "blind_diagnosis", "answer", "diagnosis", "management",
        "recorded",
    ]  # fmt: skip
    list_filter = ["role", "answer", "diagnosis", "management", "recorded"]
    list_select_related = ["reader"]
    search_fields = ["photo__id__exact", "reader__email"]
    search_help_text = _("A photo's id, or the e-mail address of the reader.")
    fields = [
        "id", "photo", "reader", "role", "begun", "blind_answer", "blind_diagnosis", "revealed", "prediction", "answer",
        "diagnosis", "management", "monitor_months", "override_reason", "note", "recorded",
    ]  # fmt: skip


@admin.register(Reminder)
class ReminderAdmin(LongListAdmin[Reminder]):
    """When patients asked to be reminded of a spot."""

    list_display = ["lesion_id", "months", "due", "sent", "ended"]
    list_filter = ["months", "due"]
    search_fields = ["lesion__id__exact", "lesion__owner__email"]
    search_help_text = _("A lesion's id, or the owner's e-mail address.")
    fields = ["lesion", "months", "due", "created", "sent", "ended"]


@admin.register(ShareLink)
class ShareLinkAdmin(LongListAdmin[ShareLink]):
    """Results that patients shared. The address itself is known to nobody here: only a hash of it is stored."""

    list_display = ["id", "photo_id", "made_by", "created", "expires", "revoked", "times_opened", "last_opened"]
    list_filter = ["created", "expires"]
    list_select_related = ["made_by"]
    search_fields = ["id__exact", "photo__id__exact", "made_by__email"]
    search_help_text = _("A link's or photo's id, or the e-mail address of who made it.")
    fields = ["id", "photo", "made_by", "created", "expires", "revoked", "times_opened", "last_opened"]
