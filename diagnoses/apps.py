"""From a photograph to a prediction and its review. Knows nothing of training."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DiagnosesConfig(AppConfig):
    name = "diagnoses"
    verbose_name = _("Diagnoses")

    def ready(self) -> None:
        """What this app looks at for the admin's first page."""
        # Models can be imported once all apps are loaded.
        from diagnoses.monitoring.notices.sources import register_all

        register_all()
