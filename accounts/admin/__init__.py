"""The Django admin of people, consent texts, notifications and the audit log."""

from accounts.admin.consents import ConsentTextAdmin
from accounts.admin.log import AuditEntryAdmin
from accounts.admin.notifications import NotificationAdmin
from accounts.admin.people import UserAdmin
from accounts.admin.rows import ReadOnlyAdmin

__all__ = ["AuditEntryAdmin", "ConsentTextAdmin", "NotificationAdmin", "ReadOnlyAdmin", "UserAdmin"]
