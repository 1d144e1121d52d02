"""`ShareLink`: a link by which somebody without an account can read one result until it expires."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ShareLinkQuerySet(models.QuerySet["ShareLink"]):
    def open(self) -> "ShareLinkQuerySet":
        """Links that are neither expired nor revoked."""
        return self.filter(revoked__isnull=True, expires__gt=timezone.now())


class ShareLink(models.Model):
    """One share link. Its URL is shown once; only the SHA-256 of its token is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey("diagnoses.Photo", on_delete=models.CASCADE, related_name="share_links")
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # The patient's note for whom the link is.
    label = models.CharField(_("for whom"), max_length=100, blank=True)
    created = models.DateTimeField(_("made"), default=timezone.now, editable=False)
    expires = models.DateTimeField(_("expires"))
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True)
    times_opened = models.PositiveIntegerField(_("times opened"), default=0)
    last_opened = models.DateTimeField(_("last opened"), null=True, blank=True)

    objects: ClassVar[ShareLinkQuerySet] = ShareLinkQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("share link")
        verbose_name_plural = _("share links")
        ordering = ["-created", "-id"]
        constraints = [models.CheckConstraint(condition=Q(expires__gt=F("created")), name="share_link_expires_later")]

    def __str__(self) -> str:
        return f"share link {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.revoked is None and self.expires > timezone.now()
