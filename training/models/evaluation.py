"""Own `Evaluation`: what a classifier achieved on a sealed split. Immutable (database trigger)."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.models import Classifier
from training.models.dataset import Dataset, Example


class Evaluation(models.Model):
    """Figures with intervals, and the predictions they come from."""

    classifier = models.ForeignKey(Classifier, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    split = models.CharField(_("split"), max_length=12, choices=Example.Split.choices, default=Example.Split.TEST)
    # sha256 over the sorted "image,split" lines of the rows evaluated.
    fingerprint = models.CharField(_("split fingerprint"), max_length=64)
    metrics = models.JSONField(_("metrics"))
    # One row per image in ISIC order: {"image": [eight probabilities], ...}.
    predictions = models.JSONField(_("predictions"))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["classifier", "fingerprint"], name="evaluation_once"),
        ]

    def __str__(self) -> str:
        return f"{self.classifier} on {self.dataset} ({self.split})"
