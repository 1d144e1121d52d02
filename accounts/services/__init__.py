"""The services of this app: every write to its tables goes through here."""

from accounts.services.consent import (
    ConsentRequired,
    NoConsentText,
    consent_of,
    give_consent,
    needs_consent,
    publish_consent_text,
    require_consent,
    set_training_consent,
    withdraw_consent,
)
from accounts.services.notifications import forget, mark_read, notify, set_email_switch
from accounts.services.people import (
    DEMO_ACCOUNTS,
    DEMO_PASSWORD,
    change_email,
    change_role,
    create_demo_accounts,
    register_account,
    switch_account,
)
from accounts.services.profiles import save_profile

__all__ = [
    "DEMO_ACCOUNTS",
    "DEMO_PASSWORD",
    "ConsentRequired",
    "NoConsentText",
    "change_email",
    "change_role",
    "consent_of",
    "create_demo_accounts",
    "forget",
    "give_consent",
    "mark_read",
    "needs_consent",
    "notify",
    "publish_consent_text",
    "register_account",
    "require_consent",
    "save_profile",
    "set_email_switch",
    "set_training_consent",
    "switch_account",
    "withdraw_consent",
]
