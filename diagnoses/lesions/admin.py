"""Lesions and reminders in the admin: read only."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.admin.rows import LongListAdmin
from diagnoses.lesions.models import Lesion, Reminder


@admin.register(Lesion)
class LesionAdmin(LongListAdmin[Lesion]):
    """Lesions, read only."""

    list_display = ["name", "owner", "anatom_site_general", "body_view", "created"]
    list_filter = ["anatom_site_general", "body_view", "created"]
    list_select_related = ["owner"]
    search_fields = ["id__exact", "owner__email"]
    search_help_text = _("A lesion's id, or the owner's e-mail address.")
    fields = ["id", "owner", "name", "anatom_site_general", "body_view", "body_x", "body_y", "created"]


@admin.register(Reminder)
class ReminderAdmin(LongListAdmin[Reminder]):
    """Reminders, read only."""

    list_display = ["lesion_id", "months", "due", "sent", "ended"]
    list_filter = ["months", "due"]
    search_fields = ["lesion__id__exact", "lesion__owner__email"]
    search_help_text = _("A lesion's id, or the owner's e-mail address.")
    fields = ["lesion", "months", "due", "created", "sent", "ended"]
