"""`manage.py create_demo_accounts`: create one account for each role, to try the application locally."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.services import DEMO_PASSWORD, create_demo_accounts


class Command(BaseCommand):
    help = "Make the demo accounts (local settings only)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not getattr(settings, "DEMO_ACCOUNTS", False):
            raise CommandError("Demo accounts have a known password: they exist only under local settings.")
        for user in create_demo_accounts():
            self.stdout.write(f"{user.get_role_display():<14} {user.email}  {DEMO_PASSWORD}")
