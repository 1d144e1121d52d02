"""`AuditEntry`: one audited action. Append-only (database trigger)."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """One audited action. The database refuses to change or delete a row (trigger)."""

    class Action(models.TextChoices):
        PHOTO_VIEWED = "photo-viewed", _("Photo viewed")
        PHOTO_DELETED = "photo-deleted", _("Photo deleted")
        IMAGE_TYPE_CHANGED = "image-type-changed", _("Kind of picture changed")
        FINDING_RECORDED = "finding-recorded", _("Finding recorded")
        CLASSIFIER_PROMOTED = "classifier-promoted", _("Classifier promoted")
        CLASSIFIER_REGISTERED = "classifier-registered", _("Classifier registered")
        TEST_FIGURES_OPENED = "test-figures-opened", _("Test figures opened")
        ROLE_CHANGED = "role-changed", _("Role changed")
        ACCOUNT_CREATED = "account-created", _("Account created")
        ACCOUNT_SWITCHED = "account-switched", _("Account switched on or off")
        EMAIL_CHANGED = "email-changed", _("E-mail address changed")
        CONSENT_GIVEN = "consent-given", _("Consent given")
        CONSENT_WITHDRAWN = "consent-withdrawn", _("Consent withdrawn")
        CONSENT_TEXT_PUBLISHED = "consent-text-published", _("Consent text published")
        ACCOUNT_EXPORTED = "account-exported", _("Account exported")
        ACCOUNT_ERASED = "account-erased", _("Account erased")
        LESION_DELETED = "lesion-deleted", _("Lesion deleted")
        REVIEW_REQUESTED = "review-requested", _("Review requested")
        READING_RECORDED = "reading-recorded", _("Reading recorded")
        SECOND_READING_REQUESTED = "second-reading-requested", _("Second reading requested")
        SHARE_LINK_MADE = "share-link-made", _("Share link made")
        SHARE_LINK_OPENED = "share-link-opened", _("Share link opened")
        SHARE_LINK_REVOKED = "share-link-revoked", _("Share link revoked")
        LIST_EXPORTED = "list-exported", _("Photo list exported")

    # The actor's primary key as text, not a foreign key: the entry is kept after the account is erased. The number
    # then refers to nobody.
    actor = models.CharField(_("actor"), max_length=40, blank=True, help_text=_("User id; empty for the system."))
    action = models.CharField(_("action"), max_length=40, choices=Action.choices)
    subject = models.CharField(_("subject"), max_length=100, help_text=_("Kind and id, such as photo:…"))
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    created = models.DateTimeField(_("when"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["-created", "-id"], name="audit_newest"),
            models.Index(fields=["subject", "-created"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M} {self.action} {self.subject}"
