"""`Evaluation`: the figures of a classifier on a sealed split. `EvaluationJob`: the job that measures them.

`TestOpening`: that somebody looked at the test figures of a candidate.
"""

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.classifiers.models import Classifier
from training.models.dataset import Dataset, Example
from training.models.job import Job

PREDICTIONS_FORMAT: Final = 2
"""How `Evaluation.predictions` are kept today. Until November 2026 (format 1) a picture had only its list of eight
probabilities: without decisions two classifiers cannot be compared, so such a classifier is measured again."""


class Evaluation(models.Model):
    """Figures with intervals, and the predictions they come from. Immutable (database trigger)."""

    classifier = models.ForeignKey(Classifier, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    split = models.CharField(_("split"), max_length=12, choices=Example.Split.choices, default=Example.Split.TEST)
    # `Dataset.test_content_fingerprint`: names, labels and pixels of the images evaluated.
    fingerprint = models.CharField(_("test fingerprint"), max_length=64)
    metrics = models.JSONField(_("metrics"))
    # One entry per image: {"image": {"probabilities": [8], "balanced": [8], "malignant_score", "decision", "score",
    # "image_type"}, ...}; the eight in ISIC order. Format 1: {"image": [8], ...}.
    predictions = models.JSONField(_("predictions"))
    predictions_format = models.PositiveSmallIntegerField(default=PREDICTIONS_FORMAT, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["classifier", "fingerprint", "predictions_format"], name="evaluation_once"),
        ]

    def __str__(self) -> str:
        return f"{self.classifier} on {self.dataset} ({self.split})"

    @property
    def has_decisions(self) -> bool:
        """Whether each picture has its decision and kind, as the gates of promotion need."""
        return self.predictions_format >= PREDICTIONS_FORMAT


class TestOpening(models.Model):
    """The test figures of an evaluation were opened: by whom, when and why. Immutable (database trigger).

    Whoever chooses among candidates by their test figures makes these figures too good. So candidates are chosen by
    validation figures, and every look at the test figures is written down and counted for each test split.
    """

    evaluation = models.OneToOneField(Evaluation, on_delete=models.PROTECT, related_name="opening")
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        verbose_name=_("opened by"), help_text=_("Empty when it was opened from the shell."),
    )  # fmt: skip
    reason = models.CharField(_("reason"), max_length=500)
    created = models.DateTimeField(_("opened"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("opening of test figures")
        verbose_name_plural = _("openings of test figures")
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"{self.evaluation}, {self.created:%Y-%m-%d}"


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
