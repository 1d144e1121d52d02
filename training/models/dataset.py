"""`Dataset` and its `Example`s: imported images with labels and the split by lesion, sealed."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from diagnoses.fields import IMAGE_TYPE_CHOICES, SEX_CHOICES, SITE_CHOICES, ContentHashField, DiagnosisField


class Dataset(models.Model):
    """A sealed data set: an import or a new version writes all its rows at once, and they never change."""

    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=100, unique=True)
    previous = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="versions", verbose_name=_("made from")
    )
    # Identifies labels and pixels: sha256 over the sorted "image,diagnosis,sha256" lines.
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    # Identifies the split: sha256 over the sorted "image,split" lines.
    split_fingerprint = models.CharField(_("split fingerprint"), max_length=64, blank=True)
    # Identifies the names of the test images: sha256 over their sorted "image,split" lines. Classifiers sealed before
    # November 2026 state only this about their test split.
    test_fingerprint = models.CharField(_("test names fingerprint"), max_length=64, blank=True)
    # Identifies names, labels and pixels of the test images: sha256 over their sorted "image,diagnosis,sha256" lines.
    # Two classifiers can be compared if they were measured on the same ones.
    test_content_fingerprint = models.CharField(_("test fingerprint"), max_length=64, blank=True)
    split_seed = models.PositiveIntegerField(_("split seed"), null=True, blank=True)
    has_images = models.BooleanField(_("has images"), default=False)
    example_count = models.PositiveIntegerField(_("images"))
    # The report of the import: duplicates, near duplicates, leakage of a random split, sources, notes.
    report = models.JSONField(_("import report"), default=dict, blank=True)
    # The sections of the page and the names of their charts (training.data.exploration); None until computed.
    eda = models.JSONField(_("exploratory data analysis"), null=True, blank=True)
    licence = models.CharField(_("licence"), max_length=200, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("data set")
        verbose_name_plural = _("data sets")
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return self.name

    def measurable(self) -> models.QuerySet["Example"]:
        """The examples that can be learned or measured: with a diagnosis and, if the data set has images, an image."""
        found = self.examples.exclude(diagnosis="")
        return found.exclude(sha256="") if self.has_images else found


class ImageArchive(models.Model):
    """A zip of images on the default storage, written once. Versions of a data set share archives."""

    name = models.CharField(_("name on the storage"), max_length=200, unique=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    size = models.PositiveBigIntegerField(_("size in bytes"))
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("image archive")
        verbose_name_plural = _("image archives")

    def __str__(self) -> str:
        return self.name


class Example(models.Model):
    """One image of a data set with its label, metadata and split."""

    class Split(models.TextChoices):
        TRAIN = "train", _("Training")
        VALIDATION = "validation", _("Validation")
        CALIBRATION = "calibration", _("Calibration")
        TEST = "test", _("Test")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    image = models.CharField(_("image"), max_length=100)
    # Empty: none of the eight. Such an image is in no split and is never learned. It serves to test the gates.
    diagnosis = DiagnosisField(_("diagnosis"), blank=True)
    # Empty in data sets that were imported before there was more than one kind: those are dermoscopic.
    image_type = models.CharField(_("kind of picture"), max_length=40, choices=IMAGE_TYPE_CHOICES, blank=True)
    patient_id = models.CharField(_("patient"), max_length=100, blank=True)
    lesion_id = models.CharField(_("lesion"), max_length=100, blank=True)
    age_approx = models.FloatField(_("age"), null=True, blank=True)
    sex = models.CharField(_("sex"), max_length=10, choices=SEX_CHOICES, blank=True)
    anatom_site_general = models.CharField(_("site"), max_length=20, choices=SITE_CHOICES, blank=True)
    split = models.CharField(_("split"), max_length=12, choices=Split.choices, blank=True)
    # Facts of the image file; empty if the tables were imported without images.
    archive = models.ForeignKey(ImageArchive, on_delete=models.PROTECT, null=True, blank=True, related_name="examples")
    member = models.CharField(_("name in the archive"), max_length=300, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    content_hash = ContentHashField(_("content hash"), null=True, blank=True)  # type: ignore[misc]  # None without images
    width = models.PositiveIntegerField(_("width in pixels"), null=True, blank=True)
    height = models.PositiveIntegerField(_("height in pixels"), null=True, blank=True)
    # What the source says besides, by its own column names: image_manipulation, skin_tone_class, fitspatrick, and what
    # the patient answered (itch, grew, hurt, changed, bleed, elevation).
    details = models.JSONField(_("details"), default=dict, blank=True)
    # The patient's photo from which this example was made (consented, confirmed); empty for imported images.
    photo = models.UUIDField(_("photo"), null=True, blank=True)

    class Meta:
        verbose_name = _("example")
        verbose_name_plural = _("examples")
        ordering = ["dataset", "image"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "image"], name="example_unique"),
            models.CheckConstraint(
                condition=Q(archive__isnull=True, member="", sha256="")
                | (Q(archive__isnull=False) & ~Q(member="") & ~Q(sha256="")),
                name="example_image_is_whole",
            ),
        ]
        indexes = [models.Index(fields=["dataset", "split", "diagnosis"], name="example_split")]

    def __str__(self) -> str:
        return self.image
