"""`PhotoHistory`: the reported history of a photo, with the 7-point checklist. Immutable (database trigger)."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

CHECKLIST_MAJOR = ("change_size", "change_shape", "change_colour")
"""Major criteria: two points each."""

CHECKLIST_MINOR = ("diameter_7mm", "inflamed", "bleeding", "itch")
"""Minor criteria: one point each."""

CHECKLIST_REFERS = 3
"""The score from which the patient should see a doctor: NICE guideline NG12, recommendation 1.7.1."""


class PhotoHistory(models.Model):
    """The patient's answers about the spot on one photo. None in a yes-or-no field means not answered.

    A row never changes. Telling again adds a row that replaces the former answers; `Photo.history` is the current one.
    """

    class Duration(models.TextChoices):
        WEEKS = "weeks", _("less than a month")
        MONTHS = "months", _("some months")
        YEARS = "years", _("a year or longer")
        ALWAYS = "always", _("since childhood")
        UNKNOWN = "unknown", _("I do not know")

    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="histories")
    created = models.DateTimeField(_("told"), default=timezone.now, editable=False)
    duration = models.CharField(_("how long it has been there"), max_length=10, choices=Duration.choices, blank=True)
    change_size = models.BooleanField(_("has changed in size"), null=True, blank=True)
    change_shape = models.BooleanField(_("has changed in shape"), null=True, blank=True)
    change_colour = models.BooleanField(_("has changed in colour"), null=True, blank=True)
    raised = models.BooleanField(_("is raised"), null=True, blank=True)
    diameter_7mm = models.BooleanField(_("is 7 mm across or more"), null=True, blank=True)
    inflamed = models.BooleanField(_("is inflamed"), null=True, blank=True)
    bleeding = models.BooleanField(_("bleeds, oozes or has a crust"), null=True, blank=True)
    itch = models.BooleanField(_("itches or feels different"), null=True, blank=True)
    pain = models.BooleanField(_("hurts"), null=True, blank=True)
    note = models.TextField(_("in your own words"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("history of a spot")
        verbose_name_plural = _("histories of spots")
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return f"history of {self.photo_id}"

    @property
    def answered(self) -> bool:
        """Whether any question was answered."""
        questions = (*CHECKLIST_MAJOR, *CHECKLIST_MINOR, "raised", "pain")
        return bool(self.duration or self.note) or any(getattr(self, name) is not None for name in questions)

    @property
    def checklist_score(self) -> int:
        """The weighted 7-point checklist, 0 to 10 (MacKie 1990; Walter et al. 2013, "Using the 7-point checklist as a
        diagnostic aid for pigmented skin lesions in general practice"). Unanswered questions count as no.
        """
        return 2 * sum(bool(getattr(self, name)) for name in CHECKLIST_MAJOR) + sum(
            bool(getattr(self, name)) for name in CHECKLIST_MINOR
        )

    @property
    def is_changing(self) -> bool:
        """Whether size, shape or colour have changed."""
        return any(getattr(self, name) for name in CHECKLIST_MAJOR)

    @property
    def needs_a_doctor(self) -> bool:
        """Whether the history alone needs a doctor: a raised or changing spot is never only monitored."""
        return bool(self.raised) or self.is_changing or self.checklist_score >= CHECKLIST_REFERS
