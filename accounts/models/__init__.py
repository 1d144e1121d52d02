"""The tables of this app: users, profiles, consents, notifications and the audit log."""

from accounts.models.audit import AuditEntry
from accounts.models.consent import Consent, ConsentText, Purpose
from accounts.models.notification import Notification
from accounts.models.profile import Profile, Sex, SkinType
from accounts.models.user import Language, Role, User, UserManager

__all__ = [
    "AuditEntry",
    "Consent",
    "ConsentText",
    "Language",
    "Notification",
    "Profile",
    "Purpose",
    "Role",
    "Sex",
    "SkinType",
    "User",
    "UserManager",
]
