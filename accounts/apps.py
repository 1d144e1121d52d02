"""The app of users, roles, consents, notifications and the audit log."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("People")

    def ready(self) -> None:
        # Models can be imported once all apps are loaded.
        from accounts.consent_texts import publish_first_texts

        post_migrate.connect(publish_first_texts, sender=self, dispatch_uid="accounts.first_consent_texts")
