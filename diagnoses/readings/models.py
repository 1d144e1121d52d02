"""`Reading`: a clinician's blind, then final answer on a photo. `Finding`: a diagnosis with its source; append-only."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.fields import DiagnosisField

MONITOR_MONTHS = (1, 3, 6, 12)
"""Intervals in months that a clinician may set."""


class Finding(models.Model):
    """One diagnosis of one photo, with its source. A later one does not delete an earlier one."""

    class Source(models.TextChoices):
        HISTOPATHOLOGY = "histopathology", _("Histopathology")
        CLINICIAN = "clinician", _("Clinician's assessment")

    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="findings")
    # The assessment the clinician saw. Null if there was none.
    assessment = models.ForeignKey(
        "diagnoses.PhotoAssessment", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    # The reading that made it. Null if it was recorded directly.
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


class ReadingQuerySet(models.QuerySet["Reading"]):
    def recorded(self) -> "ReadingQuerySet":
        """Readings with a final answer."""
        return self.filter(recorded__isnull=False)


class Reading(models.Model):
    """One reader's reading of a photo: begun, blind answer, reveal, final answer. Each step is written once (trigger).

    The final answer of the reading that settles the photo becomes the `Finding` that the patient sees.
    """

    class Role(models.TextChoices):
        FIRST = "first", _("First reading")
        SECOND = "second", _("Second reading")
        ADJUDICATION = "adjudication", _("Adjudication")

    class Answer(models.TextChoices):
        """The kind of answer. DIAGNOSIS also has a diagnosis."""

        DIAGNOSIS = "diagnosis", _("A diagnosis")
        CANNOT_SAY = "cannot-say", _("Cannot say")
        UNUSABLE = "unusable", _("The photo cannot be used")

    class Management(models.TextChoices):
        BIOPSY = "biopsy", _("Biopsy or excision")
        REFER = "refer", _("Refer to be examined in person")
        MONITOR = "monitor", _("Photograph again")
        DISCHARGE = "discharge", _("Nothing further, with a safety net")

    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="readings")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="readings")
    role = models.CharField(_("role"), max_length=12, choices=Role.choices)
    begun = models.DateTimeField(_("begun"), default=timezone.now, editable=False)

    # The blind answer, before the prediction was shown.
    blind_answer = models.CharField(_("blind answer"), max_length=10, choices=Answer.choices, blank=True)
    blind_diagnosis = DiagnosisField(_("blind diagnosis"), blank=True)
    revealed = models.DateTimeField(_("prediction revealed"), null=True, blank=True)
    # The assessment that was revealed. Null if the photo had none.
    assessment = models.ForeignKey(
        "diagnoses.PhotoAssessment", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )

    # The final answer.
    answer = models.CharField(_("answer"), max_length=10, choices=Answer.choices, blank=True)
    diagnosis = DiagnosisField(_("diagnosis"), blank=True)
    management = models.CharField(_("management"), max_length=10, choices=Management.choices, blank=True)
    monitor_months = models.PositiveSmallIntegerField(_("photograph again after months"), null=True, blank=True)
    # The reason if the final answer differs from the classifier's top diagnosis.
    override_reason = models.CharField(_("reason for another diagnosis"), max_length=500, blank=True)
    note = models.TextField(_("note to the patient"), max_length=2000, blank=True)
    recorded = models.DateTimeField(_("recorded"), null=True, blank=True)

    objects: ClassVar[ReadingQuerySet] = ReadingQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("reading")
        verbose_name_plural = _("readings")
        ordering = ["begun", "id"]
        indexes = [models.Index(F("recorded").desc(), name="reading_newest", condition=Q(recorded__isnull=False))]
        constraints = [
            models.UniqueConstraint(fields=["photo", "reader"], name="reading_one_for_each_reader"),
            models.UniqueConstraint(
                fields=["photo", "role"], condition=Q(recorded__isnull=False), name="reading_one_for_each_role"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["first", "second", "adjudication"]), name="reading_role_known"
            ),
            models.CheckConstraint(
                condition=Q(blind_answer="", blind_diagnosis="", revealed__isnull=True)
                | Q(blind_answer="diagnosis", revealed__isnull=False) & ~Q(blind_diagnosis="")
                | Q(blind_answer__in=["cannot-say", "unusable"], blind_diagnosis="", revealed__isnull=False),
                name="reading_blind_whole",
            ),
            models.CheckConstraint(
                condition=Q(answer="", diagnosis="", management="", monitor_months__isnull=True, recorded__isnull=True)
                | (Q(answer="diagnosis") & ~Q(diagnosis="") | Q(answer__in=["cannot-say", "unusable"], diagnosis=""))
                & Q(recorded__isnull=False, revealed__isnull=False),
                name="reading_final_whole",
            ),
            models.CheckConstraint(
                condition=Q(management__in=["", "biopsy", "refer", "monitor", "discharge"]),
                name="reading_management_known",
            ),
            models.CheckConstraint(
                condition=Q(management="monitor", monitor_months__in=MONITOR_MONTHS) & Q(monitor_months__isnull=False)
                | ~Q(management="monitor") & Q(monitor_months__isnull=True),
                name="reading_interval_with_monitor",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.photo_id}"

    @property
    def switched(self) -> bool:
        """Whether the reader changed the answer after the reveal."""
        return (self.blind_answer, self.blind_diagnosis) != (self.answer, self.diagnosis)
