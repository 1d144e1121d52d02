"""Own `Finding`: what a clinician or a pathologist says a lesion is. Append-only (database trigger)."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.models.fields import DiagnosisField


class Finding(models.Model):
    """One statement about one photo, with its source. A later one does not erase an earlier one."""

    class Source(models.TextChoices):
        HISTOPATHOLOGY = "histopathology", _("Histopathology")
        CLINICIAN = "clinician", _("Clinician's assessment")

    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="findings")
    # What the clinician had before them; null where the photo had not been predicted.
    prediction = models.ForeignKey(
        "diagnoses.Prediction", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    # The reading it came out of; null for what was recorded directly.
    reading = models.OneToOneField(
        "diagnoses.Reading", on_delete=models.CASCADE, null=True, blank=True, related_name="finding"
    )
    diagnosis = DiagnosisField(_("diagnosis"))
    source = models.CharField(_("source"), max_length=20, choices=Source.choices)
    note = models.TextField(_("note"), blank=True, max_length=2000)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created = models.DateTimeField(_("recorded"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["-created", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(source__in=["histopathology", "clinician"]), name="finding_source_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.diagnosis} ({self.get_source_display()})"
