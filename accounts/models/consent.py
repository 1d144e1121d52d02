"""`ConsentText` and `Consent`: the versions of the consent texts, and who agreed to which version when."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _


class Purpose(models.TextChoices):
    """What photos of a person may be used for."""

    DIAGNOSIS = "diagnosis", pgettext_lazy("what photos are used for", "Diagnosis")
    TRAINING = "training", pgettext_lazy("what photos are used for", "Training of classifiers")


class ConsentTextQuerySet(models.QuerySet["ConsentText"]):
    def current(self, purpose: Purpose) -> "ConsentText | None":
        """The current text: the one with the highest version. None if there is none."""
        return self.filter(purpose=purpose).order_by("-version").first()


class ConsentText(models.Model):
    """One published version of a text, in all languages. It never changes (database trigger): people agreed to it."""

    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    version = models.PositiveIntegerField(_("version"))
    text_kk = models.TextField(_("text in Kazakh"), max_length=20_000)
    text_ru = models.TextField(_("text in Russian"), max_length=20_000)
    text_en = models.TextField(_("text in English"), max_length=20_000)
    published = models.DateTimeField(_("published"), default=timezone.now, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects: ClassVar[ConsentTextQuerySet] = ConsentTextQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("consent text")
        verbose_name_plural = _("consent texts")
        ordering = ["purpose", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["purpose", "version"], name="consent_text_version_unique"),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="consent_text_purpose_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.version}"

    @property
    def text(self) -> str:
        """The text in the active language: paragraphs, separated by empty lines."""
        words = {"kk": self.text_kk, "ru": self.text_ru}
        return words.get((get_language() or "en")[:2], self.text_en)


class ConsentQuerySet(models.QuerySet["Consent"]):
    def standing(self) -> "ConsentQuerySet":
        """Given and not withdrawn."""
        return self.filter(withdrawn__isnull=True)


class Consent(models.Model):
    """One person agreed to one version of a text. A withdrawal closes the row. Agreeing again makes a new row."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT, related_name="consents")
    given = models.DateTimeField(_("given"), default=timezone.now, editable=False)
    withdrawn = models.DateTimeField(_("withdrawn"), null=True, blank=True, editable=False)

    objects: ClassVar[ConsentQuerySet] = ConsentQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["-given", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "text"], condition=Q(withdrawn__isnull=True), name="consent_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(withdrawn__isnull=True) | Q(withdrawn__gte=models.F("given")),
                name="consent_withdrawn_after_given",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.text} {self.given:%Y-%m-%d}"
