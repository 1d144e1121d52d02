"""All that Teri holds of one person: who looked at it, taking it away, having it erased.

It stands in this app and not in accounts because it reaches from the person to their photos.
"""

from diagnoses.services.account_data.erasure import LastAdministrator, erase_account
from diagnoses.services.account_data.export import export_account
from diagnoses.services.account_data.looks import Look, looks_at

__all__ = ["LastAdministrator", "Look", "erase_account", "export_account", "looks_at"]
