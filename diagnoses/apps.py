"""From a photograph to a prediction and its review. Knows nothing of training."""

from django.apps import AppConfig


class DiagnosesConfig(AppConfig):
    name = "diagnoses"
    verbose_name = "Diagnoses"
