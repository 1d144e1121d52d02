"""`Evaluation`: the figures of a classifier on a sealed split. `EvaluationJob`: the job that measures them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.classifiers.models import Classifier
from training.models.dataset import Dataset, Example
from training.models.job import Job


class Evaluation(models.Model):
    """Figures with intervals, and the predictions they come from. Immutable (database trigger)."""

    classifier = models.ForeignKey(Classifier, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    split = models.CharField(_("split"), max_length=12, choices=Example.Split.choices, default=Example.Split.TEST)
    # `Dataset.test_content_fingerprint`: names, labels and pixels of the images evaluated.
    fingerprint = models.CharField(_("test fingerprint"), max_length=64)
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


class EvaluationJob(Job):
    """A job that measures a classifier on a data set's test split; an administrator requests it."""

    classifier = models.ForeignKey(
        Classifier, on_delete=models.PROTECT, related_name="evaluation_jobs", verbose_name=_("classifier")
    )
    # CASCADE: a job that ended without an evaluation must not keep a data set from being deleted.
    dataset = models.ForeignKey(
        Dataset, on_delete=models.CASCADE, related_name="evaluation_jobs", verbose_name=_("data set")
    )
    evaluation = models.ForeignKey(
        Evaluation, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs", verbose_name=_("evaluation")
    )

    class Meta(Job.Meta):
        verbose_name = _("evaluation job")
        verbose_name_plural = _("evaluation jobs")
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(
                fields=["classifier", "dataset"],
                condition=Q(status__in=["queued", "running"]),
                name="evaluationjob_asked_for_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.classifier} on {self.dataset}"
