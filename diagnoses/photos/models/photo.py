"""`Photo`: one accepted image of a lesion, and the state of its analysis and review."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from diagnoses.fields import (
    IMAGE_TYPE_CHOICES,
    SEX_CHOICES,
    SITE_CHOICES,
    ContentHashField,
    DecisionField,
    DiagnosisField,
)
from diagnoses.photos.models.photo_assessment import PhotoAssessment
from diagnoses.photos.models.prediction import Prediction
from diagnoses.readings.models import Finding
from recognition.inference.assessment import Decision
from recognition.taxonomy import AGE_MAX, AGE_MIN


@dataclass(frozen=True)
class GroundTruth:
    """The known diagnosis of a lesion, and its source.

    `source` is "histopathology", "clinician" or "dataset". `reference` is the name of the data-set image, else empty.
    """

    diagnosis: str
    source: str
    reference: str = ""


class PhotoQuerySet(models.QuerySet["Photo"]):
    def visible_to(self, user: User | AnonymousUser) -> "PhotoQuerySet":
        """The visibility rule: the user's own photos; all photos for clinicians and administrators."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        return self if user.sees_all_patients else self.filter(owner=user)

    def waiting(self) -> "PhotoQuerySet":
        """Photos that are neither predicted nor failed."""
        return self.filter(status__in=[Photo.Status.QUEUED, Photo.Status.PREDICTING])

    def lease_expired(self) -> "PhotoQuerySet":
        """Photos whose worker let the lease expire."""
        return self.filter(status=Photo.Status.PREDICTING, lease_expires__lt=timezone.now())

    def for_display(self) -> "PhotoQuerySet":
        """With all related rows for lists and pages, in a constant number of queries."""
        return self.select_related(
            "owner", "lesion", "assessment__prediction__classifier", "recognised_as", "history"
        ).prefetch_related("findings__recorded_by", "readings")


class Photo(models.Model):
    """One accepted image. The row is the outbox of the queue: it is written before the message (RELIABILITY R1, R2)."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        PREDICTING = "predicting", _("Being analysed")
        PREDICTED = "predicted", _("Analysed")
        FAILED = "failed", _("Failed")

    class ReviewState(models.TextChoices):
        """The state of the review by clinicians."""

        UNREAD = "unread", _("Not read")
        SECOND = "second", _("Waits for a second reading")
        ADJUDICATION = "adjudication", _("Waits for adjudication")
        READ = "read", _("Read")

    class SecondReason(models.TextChoices):
        """Why a second reading is wanted."""

        REQUESTED = "requested", _("Asked for by the first reader")
        MALIGNANT = "malignant", _("The first reader sees a cancer")
        DISAGREEMENT = "disagreement", _("The first reader disagrees with the prediction")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="photos", verbose_name=_("owner")
    )
    lesion = models.ForeignKey(
        "diagnoses.Lesion", on_delete=models.PROTECT, null=True, blank=True, related_name="photos"
    )
    created = models.DateTimeField(_("uploaded"), default=timezone.now, editable=False)

    # The upright re-encoded image without metadata. The uploaded bytes are never stored (R7).
    image = models.FileField(_("image"), max_length=200)
    thumbnail = models.FileField(_("thumbnail"), max_length=200)
    width = models.PositiveIntegerField(_("width in pixels"))
    height = models.PositiveIntegerField(_("height in pixels"))
    sha256 = models.CharField(_("SHA-256 of the stored image"), max_length=64)
    original_sha256 = models.CharField(_("SHA-256 of the upload"), max_length=64)
    original_format = models.CharField(_("uploaded format"), max_length=10)
    shown_name = models.CharField(_("file name"), max_length=100, blank=True)
    content_hash = ContentHashField(_("content hash"))
    recognised_as = models.ForeignKey(
        "diagnoses.KnownImage", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    # Answers of the patient in ISIC metadata names, all optional.
    age_approx = models.PositiveSmallIntegerField(
        _("age"), null=True, blank=True, validators=[MinValueValidator(AGE_MIN), MaxValueValidator(AGE_MAX)]
    )
    sex = models.CharField(_("sex"), max_length=10, choices=SEX_CHOICES, blank=True)
    anatom_site_general = models.CharField(_("site"), max_length=20, choices=SITE_CHOICES, blank=True)
    # The kind of picture as it was told; see `image_type_now`.
    image_type = models.CharField(_("kind of picture"), max_length=40, choices=IMAGE_TYPE_CHOICES, blank=True)
    # The newest reported history. Earlier ones are kept in `histories`.
    history = models.OneToOneField(
        "diagnoses.PhotoHistory", on_delete=models.SET_NULL, null=True, blank=True, related_name="current_of"
    )

    # The state of the analysis.
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    queued = models.DateTimeField(_("queued"), default=timezone.now)
    published = models.DateTimeField(_("handed to the broker"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lease = models.UUIDField(_("lease"), null=True, blank=True)
    lease_expires = models.DateTimeField(_("lease expires"), null=True, blank=True)
    failure_code = models.CharField(_("failure"), max_length=40, blank=True)
    # The newest assessment, with copies of the columns that lists sort and filter by.
    assessment = models.OneToOneField(
        "diagnoses.PhotoAssessment", on_delete=models.SET_NULL, null=True, blank=True, related_name="current_of"
    )
    diagnosis = DiagnosisField(_("top diagnosis"), blank=True)
    confidence = models.FloatField(_("confidence"), null=True, blank=True)
    malignant_score = models.FloatField(_("malignant score"), null=True, blank=True)
    # The assessment's decision, or SOON if it is MONITOR and the reported history needs a doctor.
    decision = DecisionField(_("decision"), default="")
    # The first sort column of lists by urgency. Photos without a decision come before those that may wait, because
    # nobody knows. The sort orders are in `diagnoses.readings.worklist`.
    priority = models.GeneratedField(
        verbose_name=_("priority"),
        expression=Case(
            When(decision=Decision.URGENT.value, then=Value(3)),
            When(decision=Decision.SOON.value, then=Value(2)),
            When(decision=Decision.MONITOR.value, then=Value(0)),
            default=Value(1),
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )

    # The state of the review.
    review_state = models.CharField(_("review"), max_length=12, choices=ReviewState.choices, default=ReviewState.UNREAD)
    second_reason = models.CharField(
        _("reason for a second reading"), max_length=12, choices=SecondReason.choices, blank=True
    )
    # When the patient asked for a review. Null: not asked.
    review_requested = models.DateTimeField(_("review requested"), null=True, blank=True)
    review_closed = models.DateTimeField(_("review closed"), null=True, blank=True)

    # The client's idempotency key: a repeated upload returns this photo and makes no second one.
    idempotency_key = models.CharField(max_length=200, blank=True, editable=False)

    objects: ClassVar[PhotoQuerySet] = PhotoQuerySet.as_manager()  # type: ignore[assignment]  # same methods

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        ordering = ["-created", "-id"]
        indexes = [
            models.Index(F("owner"), F("created").desc(), F("id").desc(), name="photo_history"),
            models.Index(F("created").desc(), F("id").desc(), name="photo_newest"),
            models.Index(F("malignant_score").desc(nulls_last=True), F("id").desc(), name="photo_riskiest"),
            models.Index(
                F("priority").desc(), F("malignant_score").desc(nulls_last=True), F("id").desc(), name="photo_urgent"
            ),
            models.Index(F("confidence").asc(nulls_last=True), F("id").desc(), name="photo_least_sure"),
            models.Index(
                F("review_state"),
                F("priority").desc(),
                F("confidence").asc(nulls_last=True),
                F("created").asc(),
                F("id").asc(),
                name="photo_worklist",
            ),
            models.Index(fields=["queued"], name="photo_waiting", condition=Q(status__in=["queued", "predicting"])),
            # A partial index for counting on the admin's first page.
            models.Index(fields=["queued"], name="photo_failed", condition=Q(status="failed")),
            models.Index(
                fields=["review_requested"],
                name="photo_review_asked",
                condition=Q(review_requested__isnull=False, review_closed__isnull=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "predicting", "predicted", "failed"]), name="photo_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="predicting", lease__isnull=False, lease_expires__isnull=False)
                | (~Q(status="predicting") & Q(lease__isnull=True, lease_expires__isnull=True)),
                name="photo_lease_while_predicting",
            ),
            models.CheckConstraint(
                condition=Q(status="failed") & ~Q(failure_code="") | ~Q(status="failed") & Q(failure_code=""),
                name="photo_failed_with_reason",
            ),
            models.CheckConstraint(
                condition=~Q(status="predicted")
                | Q(confidence__isnull=False, malignant_score__isnull=False) & ~Q(diagnosis=""),
                name="photo_predicted_has_result",
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["", *(decision.value for decision in Decision)]), name="photo_decision_known"
            ),
            models.CheckConstraint(
                condition=Q(review_state__in=["unread", "second", "adjudication", "read"]),
                name="photo_review_state_known",
            ),
            models.CheckConstraint(
                condition=Q(second_reason__in=["", "requested", "malignant", "disagreement"]),
                name="photo_second_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__gte=0, confidence__lte=1),
                name="photo_confidence_is_share",
            ),
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"], condition=~Q(idempotency_key=""), name="photo_idempotency"
            ),
        ]

    def __str__(self) -> str:
        return f"photo {self.pk}"

    @property
    def is_waiting(self) -> bool:
        return self.status in {self.Status.QUEUED, self.Status.PREDICTING}

    @property
    def is_refused(self) -> bool:
        """Whether a gate refused the analysed picture. Then only clinicians see its diagnosis."""
        return self.status == self.Status.PREDICTED and self.decision == Decision.NOT_ASSESSED

    @property
    def is_lease_expired(self) -> bool:
        """Whether the lease of its worker has expired. The next sweep queues the photo again."""
        return self.lease_expires is not None and self.lease_expires < timezone.now()

    @property
    def waiting_seconds(self) -> int:
        """The whole seconds since this photo was queued."""
        return int((timezone.now() - self.queued).total_seconds())

    @property
    def prediction(self) -> Prediction | None:
        """The prediction of the current assessment, or None."""
        return self.assessment.prediction if self.assessment is not None else None

    def heatmap_for(self, *, for_clinician: bool) -> str:
        """The name of the heatmap on the storage, "" without one. That of a refused picture is for clinicians alone."""
        assessment = self.assessment
        if assessment is None or (assessment.is_refused and not for_clinician):
            return ""
        return assessment.prediction.heatmap.name or ""

    @property
    def image_type_source(self) -> str:
        """How the kind of picture is known: "told", "recognised" from the picture, or "" if it is not known."""
        if self.image_type:
            return PhotoAssessment.Source.TOLD.value
        recognised = PhotoAssessment.Source.RECOGNISED.value
        return recognised if self.assessment is not None and self.assessment.image_type_source == recognised else ""

    @property
    def image_type_now(self) -> str:
        """The kind of picture that counts: the told one, else the recognised one, else ""."""
        if self.image_type or self.assessment is None:
            return self.image_type
        return self.assessment.image_type if self.image_type_source else ""

    def deciding_finding(self) -> Finding | None:
        """The decisive finding: the newest histopathology, else the newest clinician's."""
        findings = sorted(self.findings.all(), key=lambda f: (f.created, f.pk), reverse=True)
        for source in (Finding.Source.HISTOPATHOLOGY, Finding.Source.CLINICIAN):
            for finding in findings:
                if finding.source == source:
                    return finding
        return None

    @property
    def ground_truth(self) -> GroundTruth | None:
        """The known diagnosis of the lesion: from a finding, else from the data set of this image, else None."""
        finding = self.deciding_finding()
        if finding is not None:
            return GroundTruth(diagnosis=finding.diagnosis, source=finding.source)
        if self.recognised_as is not None:
            return GroundTruth(
                diagnosis=self.recognised_as.diagnosis, source="dataset", reference=str(self.recognised_as)
            )
        return None
