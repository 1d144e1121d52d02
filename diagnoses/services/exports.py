"""Writes that photos left the application as a list."""

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed


def record_export(*, by: User, rows: int, with_patient: bool) -> None:
    """Audit that `by` takes a list of `rows` photos along, with or without names and addresses of the patients.

    Raises NotAllowed for anybody but clinicians and administrators.
    """
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians and administrators export lists.")
    audit.record(
        actor=by, action=AuditEntry.Action.LIST_EXPORTED, subject="list:photos", rows=rows, with_patient=with_patient
    )
