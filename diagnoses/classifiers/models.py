"""`Classifier`: a registered bundle and its stage."""

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ClassifierQuerySet(models.QuerySet["Classifier"]):
    def live(self) -> "Classifier | None":
        """The live classifier, or None."""
        return self.filter(stage=Classifier.Stage.LIVE).first()


class Classifier(models.Model):
    """A sealed bundle: network and manifest, identified by the SHA-256 of its manifest.

    The files are on the default storage under `bundles/<sha256>/`. A database constraint allows only one LIVE row.
    """

    class Stage(models.TextChoices):
        CANDIDATE = "candidate", _("Candidate")
        LIVE = "live", _("Live")
        RETIRED = "retired", _("Retired")

    version = models.CharField(_("version"), max_length=100, unique=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, unique=True)
    stage = models.CharField(_("stage"), max_length=10, choices=Stage.choices, default=Stage.CANDIDATE)
    manifest = models.JSONField(_("manifest"))
    fault = models.TextField(
        _("fault"), blank=True, help_text=_("Why a worker refused the bundle; empty when it was last found whole.")
    )
    created = models.DateTimeField(_("registered"), default=timezone.now, editable=False)
    promoted = models.DateTimeField(_("went live"), null=True, blank=True)

    objects: ClassVar[ClassifierQuerySet] = ClassifierQuerySet.as_manager()  # type: ignore[assignment]  # a manager with the same methods

    class Meta:
        verbose_name = _("classifier")
        verbose_name_plural = _("classifiers")
        ordering = ["-created", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["stage"], condition=models.Q(stage="live"), name="classifier_one_live"),
            models.CheckConstraint(
                condition=models.Q(stage__in=["candidate", "live", "retired"]), name="classifier_stage_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(stage="live") | models.Q(promoted__isnull=False), name="classifier_live_has_date"
            ),
        ]

    def __str__(self) -> str:
        return self.version

    @property
    def folder(self) -> str:
        """The folder of the bundle's files on the default storage."""
        return f"bundles/{self.sha256}"
