"""Writes of a worker: claim, result, failure. A lease in the database decides who may write (RELIABILITY R3 to R5)."""

import uuid
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.assessments import Assesses, assess_photo, make_current
from diagnoses.photos.files import erase_files
from diagnoses.photos.models import Photo, PhotoAssessment, Prediction
from diagnoses.photos.notifications import analysis_failed, result_ready
from diagnoses.photos.rejudging import rises
from recognition.inference.outputs import PictureOutputs

MAX_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Claim:
    """A worker's right to write the result of one photo, until the lease expires."""

    photo_id: UUID
    lease: UUID
    attempt: int


def claim_photo(photo_id: UUID) -> Claim | None:
    """QUEUED -> PREDICTING by a conditional update. Of two workers with the same message only one gets a claim."""
    lease = uuid.uuid4()
    claimed = Photo.objects.filter(pk=photo_id, status=Photo.Status.QUEUED, attempts__lt=MAX_ATTEMPTS).update(
        status=Photo.Status.PREDICTING,
        lease=lease,
        lease_expires=timezone.now() + settings.PREDICTION_LEASE,
        attempts=F("attempts") + 1,
    )
    if not claimed:
        return None
    return Claim(photo_id, lease, Photo.objects.values_list("attempts", flat=True).get(pk=photo_id))


def record_prediction(
    *,
    claim: Claim,
    classifier: Classifier,
    outputs: PictureOutputs,
    assessor: Assesses,
    heatmap_png: bytes | None,
    runtime: str,
    duration_ms: int,
) -> PhotoAssessment | None:
    """PREDICTING -> PREDICTED, and save the immutable prediction with its first assessment.

    Returns the assessment, or None if the lease has been lost. What the patient told while the network ran counts: the
    `assessor` of the classifier (`assessor_of`) is asked under the photo's lock. Raises ValueError for outputs that are
    not eight finite numbers.
    """
    measured = outputs.as_json()
    PictureOutputs.from_json(measured)
    prediction_id = uuid.uuid4()
    heatmap = ""
    if heatmap_png is not None:
        folder = f"photos/{claim.photo_id.hex[:2]}/{claim.photo_id.hex}"
        heatmap = default_storage.save(f"{folder}/heatmap-{prediction_id.hex}.png", ContentFile(heatmap_png))
    try:
        with transaction.atomic():
            photo = (
                Photo.objects.select_for_update()
                .filter(pk=claim.photo_id, status=Photo.Status.PREDICTING, lease=claim.lease)
                .first()
            )
            if photo is None:
                assessment, unused = None, heatmap
            else:
                prediction, made = Prediction.objects.get_or_create(
                    photo=photo,
                    classifier=classifier,
                    defaults={
                        "id": prediction_id,
                        "outputs": measured,
                        "heatmap": heatmap,
                        "runtime": runtime,
                        "duration_ms": duration_ms,
                    },
                )
                unused = "" if made else heatmap
                before = photo.decision if photo.assessment_id is not None else None
                if made or prediction.outputs is not None:
                    assessment = assess_photo(photo=photo, prediction=prediction, assessor=assessor)
                else:
                    assessment = prediction.assessments.latest("created", "pk")
                make_current(photo, assessment, status=Photo.Status.PREDICTED, lease=None, lease_expires=None)
                # A first answer is told, a later one only if the advice rises: a fall is shown, not announced.
                if before is None or rises(before, photo.decision):
                    result_ready(photo=photo, assessment=assessment)
            if unused:
                erase_files([unused])
    except BaseException:
        # A time limit or a broken connection can also occur after the commit.
        if heatmap and not _may_be_saved(prediction_id):
            default_storage.delete(heatmap)
        raise
    return assessment


def _may_be_saved(prediction_id: UUID) -> bool:
    """Whether the row refers to the heatmap, or this is unknown. Then keep the file: it can be deleted later."""
    try:
        return Prediction.objects.filter(pk=prediction_id).exists()
    except Exception:
        return True


def fail_photo(*, claim: Claim, code: str) -> bool:
    """PREDICTING -> FAILED for an expected reason (`diagnoses.labels.FAILURES`). False if the lease has been lost."""
    with transaction.atomic():
        failed = _held(claim).update(status=Photo.Status.FAILED, failure_code=code, lease=None, lease_expires=None)
        if failed:
            analysis_failed(photo=Photo.objects.select_related("owner", "lesion").get(pk=claim.photo_id))
    return bool(failed)


def release_photo(*, claim: Claim, code: str, counts: bool = True) -> bool:
    """Release a photo after an unexpected error: QUEUED again, or FAILED with `code` after the last attempt.

    `counts=False` does not count the attempt, because the worker caused the error. Returns False if the lease has been
    lost.
    """
    if counts and claim.attempt >= MAX_ATTEMPTS:
        return fail_photo(claim=claim, code=code)
    values: dict[str, object] = {"attempts": F("attempts") if counts else F("attempts") - 1}
    return bool(
        _held(claim).update(status=Photo.Status.QUEUED, lease=None, lease_expires=None, published=None, **values)
    )


def _held(claim: Claim):  # type: ignore[no-untyped-def]  # the type of the custom queryset is private to Photo
    return Photo.objects.filter(pk=claim.photo_id, status=Photo.Status.PREDICTING, lease=claim.lease)
