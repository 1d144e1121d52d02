"""`TrainingRun`: a recipe applied to a data set."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from diagnoses.classifiers.models import Classifier
from training.models.dataset import Dataset
from training.models.job import Job


class TrainingRun(Job):
    """One training or fine-tuning: the recipe as it was, the history, and the classifier it made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs", verbose_name=_("data set"))
    recipe = models.CharField(_("recipe"), max_length=40)
    # Every field of the recipe as it was when the run was requested (recognition.recipes.Recipe.as_json).
    settings = models.JSONField(_("settings"))
    parent = models.ForeignKey(
        Classifier, on_delete=models.PROTECT, null=True, blank=True, related_name="children",
        verbose_name=_("continues"), help_text=_("The classifier whose weights this run starts from."),
    )  # fmt: skip
    # One entry for each epoch: {"phase", "epoch", "loss", "validation_loss", "balanced_accuracy", "seconds", ...}.
    history = models.JSONField(_("history"), default=list, blank=True)
    classifier = models.OneToOneField(
        Classifier, on_delete=models.SET_NULL, null=True, blank=True, related_name="run", verbose_name=_("classifier")
    )

    class Meta(Job.Meta):
        verbose_name = _("training run")
        verbose_name_plural = _("training runs")

    def __str__(self) -> str:
        return f"{self.recipe} on {self.dataset}"
