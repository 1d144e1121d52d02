"""The app for patients and clinicians: photos, predictions, readings. It does not import training."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DiagnosesConfig(AppConfig):
    name = "diagnoses"
    verbose_name = _("Diagnoses")

    def ready(self) -> None:
        """Register the notices of this app on the admin's first page."""
        # Models can only be imported after all apps are loaded.
        from diagnoses.monitoring.notices.sources import register_all

        register_all()
