"""The Django app `training`."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = _("Training")

    def ready(self) -> None:
        """Register the notices of this app for the admin's first page."""
        # Models can be imported once all apps are loaded.
        from diagnoses.monitoring.notices import register
        from training.notices import jobs

        register("training", jobs)
