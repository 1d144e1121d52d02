"""Every write of this app: people, what they agree to."""

from accounts.services.consent import set_training_consent
from accounts.services.people import (
    DEMO_ACCOUNTS,
    DEMO_PASSWORD,
    change_email,
    change_role,
    create_demo_accounts,
    register_account,
    switch_account,
)

__all__ = [
    "DEMO_ACCOUNTS",
    "DEMO_PASSWORD",
    "change_email",
    "change_role",
    "create_demo_accounts",
    "register_account",
    "set_training_consent",
    "switch_account",
]
