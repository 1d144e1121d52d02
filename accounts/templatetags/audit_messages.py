"""The newest audit messages on the admin's first page."""

from typing import Any, Final

from django import template

from accounts.audit_messages import names_of, sentence
from accounts.models import AuditEntry

register = template.Library()

SHOWN: Final = 8
LOOKED_THROUGH: Final = 200
"""The number of newest entries that are searched. Most entries are views of photos, which are not shown."""

EVERYDAY: Final = frozenset({AuditEntry.Action.PHOTO_VIEWED, AuditEntry.Action.SHARE_LINK_OPENED})


@register.inclusion_tag("admin/home/audit_messages.html")
def latest_audit_messages() -> dict[str, Any]:
    """The newest entries of the audit log, without views of photos and shared results."""
    entries = [entry for entry in AuditEntry.objects.all()[:LOOKED_THROUGH] if entry.action not in EVERYDAY][:SHOWN]
    names = names_of(entries)
    return {"entries": [{"when": entry.created, "said": sentence(entry, names)} for entry in entries]}
