"""From ISIC 2019 files to a promoted classifier. Builds on diagnoses."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = "Training"
