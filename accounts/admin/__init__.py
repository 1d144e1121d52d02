"""People, the texts they agree to, what they were told and the audit log in the Django admin."""

from accounts.admin.consents import ConsentTextAdmin
from accounts.admin.log import AuditEntryAdmin
from accounts.admin.notifications import NotificationAdmin
from accounts.admin.people import UserAdmin
from accounts.admin.rows import ReadOnlyAdmin

__all__ = ["AuditEntryAdmin", "ConsentTextAdmin", "NotificationAdmin", "ReadOnlyAdmin", "UserAdmin"]
