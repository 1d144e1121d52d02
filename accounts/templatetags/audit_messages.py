"""What the admin's first page prints of the audit log."""

from typing import Any, Final

from django import template

from accounts.audit_messages import names_of, sentence
from accounts.models import AuditEntry

register = template.Library()

SHOWN: Final = 8
LOOKED_THROUGH: Final = 200
"""Newest entries among which these are looked for: looks at photos are most of a log and least of its news."""

EVERYDAY: Final = frozenset({AuditEntry.Action.PHOTO_VIEWED, AuditEntry.Action.SHARE_LINK_OPENED})


@register.inclusion_tag("admin/home/audit_messages.html")
def latest_audit_messages() -> dict[str, Any]:
    """The newest entries of the audit log that are more than a look."""
    entries = [entry for entry in AuditEntry.objects.all()[:LOOKED_THROUGH] if entry.action not in EVERYDAY][:SHOWN]
    names = names_of(entries)
    return {"entries": [{"when": entry.created, "said": sentence(entry, names)} for entry in entries]}
