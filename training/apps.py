"""From ISIC 2019 files to a promoted classifier. Builds on diagnoses."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = _("Training")

    def ready(self) -> None:
        """What this app looks at for the admin's first page."""
        from diagnoses.attention import register
        from training.attention import jobs

        register("training", jobs)
