"""Own `Lesion`: one spot of one patient, followed over time."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnoses.models.fields import SITE_CHOICES


class Lesion(models.Model):
    """One spot on one patient's skin."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="lesions")
    name = models.CharField(_("name"), max_length=100)
    anatom_site_general = models.CharField(_("site"), max_length=20, choices=SITE_CHOICES, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("lesion")
        verbose_name_plural = _("lesions")
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return self.name
