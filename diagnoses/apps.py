"""The app for patients and clinicians: photos, predictions, readings. It does not import training."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class DiagnosesConfig(AppConfig):
    name = "diagnoses"
    verbose_name = _("Diagnoses")

    def ready(self) -> None:
        """Register the notices of this app on the admin's first page, and its system check."""
        # Models can only be imported after all apps are loaded.
        from diagnoses.monitoring.notices.sources import register_all
        from diagnoses.photos.case_mix import case_mix_is_readable

        register_all()
        register(case_mix_is_readable)
