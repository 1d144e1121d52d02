"""Own `DatasetImport`: the job that turns files into a sealed data set, or into a list of what is wrong with them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from training.models.dataset import Dataset
from training.models.job import Job


class DatasetImport(Job):
    """One import. Either it makes a whole `Dataset` or it leaves nothing but its faults."""

    class Layout(models.TextChoices):
        ISIC2019 = "isic2019", _("ISIC 2019 challenge files")
        ISIC_CLI = "isic-cli", _("isic-cli download")

    name = models.CharField(_("name"), max_length=100)
    layout = models.CharField(_("layout"), max_length=10, choices=Layout.choices, default=Layout.ISIC2019)
    # Paths under the configured data folder (TRAINING_DATA_DIR), or names on the default storage for uploads.
    images = models.CharField(
        _("images"), max_length=500, blank=True, help_text=_("Folder or zip; empty: tables only.")
    )
    ground_truth = models.CharField(_("ground truth"), max_length=500)
    metadata = models.CharField(_("metadata"), max_length=500, blank=True)
    # [{"file", "line", "reason"}, ...] of a failed import.
    faults = models.JSONField(_("faults"), default=list, blank=True)
    dataset = models.OneToOneField(Dataset, on_delete=models.SET_NULL, null=True, blank=True, related_name="made_by")

    class Meta(Job.Meta):
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.name
