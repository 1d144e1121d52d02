"""`DatasetImport`: the job that turns files into a sealed data set, or reports what is wrong with them."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from training.models.dataset import Dataset
from training.models.job import Job


class DatasetImport(Job):
    """One import. It makes a whole `Dataset`, or only a list of problems in the files."""

    class Layout(models.TextChoices):
        ISIC2019 = "isic2019", _("ISIC 2019 challenge files")
        ISIC_CLI = "isic-cli", _("isic-cli download")
        MILK10K = "milk10k", _("MILK10k challenge files")
        PAD_UFES = "pad-ufes-20", _("PAD-UFES-20")
        JOINED = "joined", _("Joined data sets")
        CONFIRMED_PHOTOS = "photos", _("Confirmed photos of consenting patients")

    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=100)
    layout = models.CharField(_("layout"), max_length=20, choices=Layout.choices, default=Layout.ISIC2019)
    # Paths under the configured data folder (TRAINING_DATA_DIR); uploads are "upload:" and a name on the storage.
    images = models.CharField(
        _("images"), max_length=500, blank=True, help_text=_("Folder or zip; empty: tables only.")
    )
    ground_truth = models.CharField(_("ground truth"), max_length=500, blank=True)
    metadata = models.CharField(_("metadata"), max_length=500, blank=True)
    supplement = models.CharField(_("supplement"), max_length=500, blank=True)
    # The data sets that are joined; a table of lesions with two ids, and a table of lesions to leave out.
    parts = models.ManyToManyField(Dataset, blank=True, related_name="+", verbose_name=_("made of"))
    same_lesion = models.CharField(_("same lesions"), max_length=500, blank=True)
    leave_out = models.CharField(_("lesions to leave out"), max_length=500, blank=True)
    split_seed = models.PositiveIntegerField(
        _("split seed"), default=2019, help_text=_("The same files and seed give the same split on any machine.")
    )
    leave_out_unmapped = models.BooleanField(
        _("leave out other diagnoses"),
        default=False,
        help_text=_("Skip images whose diagnosis is none of the eight, instead of refusing the files."),
    )
    near_together = models.BooleanField(
        _("keep near duplicates together"),
        default=True,
        help_text=_(
            "Pictures that look alike to the eye are put on one side of the split, whatever their lesion ids say."
        ),
    )
    # The data set to which confirmed photos are added.
    previous = models.ForeignKey(
        Dataset, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("made from")
    )
    # [{"file", "line", "reason"}, ...] of a failed import.
    faults = models.JSONField(_("faults"), default=list, blank=True)
    dataset = models.OneToOneField(Dataset, on_delete=models.SET_NULL, null=True, blank=True, related_name="made_by")

    class Meta(Job.Meta):
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.name
