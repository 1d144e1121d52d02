"""Writes the audit log. Call `record` inside the transaction of the change that it records."""

from typing import Any

from accounts.models import AuditEntry, User


def record(*, actor: User | None, action: AuditEntry.Action, subject: str, **detail: Any) -> AuditEntry:
    """Append one entry.

    `actor` is None for actions of the application itself. `subject` is "kind:id". `detail` must be JSON without
    names, e-mail addresses or file names, because the log is kept after the person is erased.
    """
    return AuditEntry.objects.create(
        actor="" if actor is None else str(actor.pk), action=action, subject=subject, detail=detail
    )
