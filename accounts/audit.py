"""Writes the audit log: one function, called inside the transaction of what it records."""

from typing import Any

from accounts.models import AuditEntry, User


def record(*, actor: User | None, action: AuditEntry.Action, subject: str, **detail: Any) -> AuditEntry:
    """Append one entry.

    `actor` is None for what the application does by itself. `subject` is "kind:id". `detail` must be JSON and
    holds no names, e-mail addresses or file names: the log outlives the person.
    """
    return AuditEntry.objects.create(
        actor="" if actor is None else str(actor.pk), action=action, subject=subject, detail=detail
    )
