"""Writes to photos by people: submit, view, retry, delete."""

import functools
import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from accounts.services import require_consent
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.photos.assessments import assess_again
from diagnoses.photos.files import erase_files
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.notifications import forget_photo
from diagnoses.photos.queue import publish_photos
from recognition.sandbox import AcceptedPhoto, IntakeLimits, accept_photo, shown_name
from recognition.sandbox.perceptual_hash import SAME_PICTURE_DISTANCE

logger = logging.getLogger(__name__)


PICTURE_LOOK = timedelta(hours=1)
"""Requests for a picture within this time count as one view."""


class IdempotencyConflict(Exception):
    """The client used one Idempotency-Key for two uploads with different files or answers."""


@dataclass(frozen=True, kw_only=True)
class PhotoMetadata:
    """What the patient says with a photo, in ISIC terms. The caller checks it; `submit_photo` checks `image_type`."""

    lesion: Lesion | None = None
    age_approx: int | None = None
    sex: str = ""
    anatom_site_general: str = ""
    image_type: str = ""


def submit_photo(
    *,
    owner: User,
    data: bytes,
    file_name: str = "",
    metadata: PhotoMetadata = PhotoMetadata(),
    history: HistoryAnswers | None = None,
    idempotency_key: str = "",
    limits: IntakeLimits = IntakeLimits(),  # noqa: B008 - frozen
) -> Photo:
    """Accept an upload: check it, store it, queue it. When this returns, the photo cannot be lost.

    `history` is the reported history; it is saved with the photo, before any prediction. Reminders of the lesion end.
    Raises `PhotoRejected` (nothing is stored) if the sandbox refuses the file, `IdempotencyConflict` if the key was
    used for another upload, `ConsentRequired` if a patient has not agreed, NotAllowed if the account is switched off
    or the lesion belongs to somebody else, ValidationError for an unknown `image_type` or an invalid history.
    """
    if not owner.is_active:
        raise NotAllowed("This account is switched off.")
    if metadata.lesion is not None and metadata.lesion.owner_id != owner.pk:
        raise NotAllowed("This lesion belongs to somebody else.")
    require_consent(owner)
    _check_image_type(metadata.image_type)

    accepted = accept_photo(data, limits=limits)
    if idempotency_key:
        earlier = _earlier(owner, idempotency_key, accepted, metadata)
        if earlier is not None:
            return earlier

    photo = Photo(
        owner=owner,
        lesion=metadata.lesion,
        age_approx=metadata.age_approx,
        sex=metadata.sex,
        anatom_site_general=metadata.anatom_site_general,
        image_type=metadata.image_type,
        width=accepted.width,
        height=accepted.height,
        sha256=accepted.sha256,
        original_sha256=accepted.original_sha256,
        original_format=accepted.original_format,
        content_hash=accepted.content_hash,
        shown_name=shown_name(file_name),
        idempotency_key=idempotency_key,
    )
    written: list[str] = []
    try:
        photo.image.name = _store(photo, "photo.jpg", accepted.image, written)
        photo.thumbnail.name = _store(photo, "thumbnail.jpg", accepted.thumbnail, written)
        with transaction.atomic():
            photo.recognised_as = recognise(photo)
            photo.save(force_insert=True)
            if history is not None and history.given:
                record_history(photo=photo, by=owner, answers=history)
            if photo.lesion is not None:
                Reminder.objects.end_by_photo(photo.lesion, photo.created)
    except IntegrityError:
        _discard(written)
        # A simultaneous request with the same key was faster.
        earlier = _earlier(owner, idempotency_key, accepted, metadata) if idempotency_key else None
        if earlier is None:
            raise
        return earlier
    except (OperationalError, InterfaceError):
        # The connection broke, so it is unknown whether the commit succeeded. Keep the files: they can be deleted
        # later, but not restored.
        raise
    except BaseException:
        _discard(written)
        raise
    # Outside the `try`: the row is committed, so an error here must not delete its files.
    transaction.on_commit(functools.partial(_publish, photo.pk))
    return photo


def recognise(photo: Photo) -> KnownImage | None:
    """The known image that shows this picture, or None."""
    return KnownImage.objects.recognise(
        original_sha256=photo.original_sha256,
        content_hash=photo.content_hash,
        max_distance=SAME_PICTURE_DISTANCE,
    )


def view_photo(*, photo: Photo, by: User) -> None:
    """Audit that somebody other than the owner viewed a photo. Raises NotAllowed if they may not."""
    if photo.owner_id == by.pk:
        return
    if not by.sees_all_patients:
        raise NotAllowed("This photo belongs to somebody else.")
    audit.record(actor=by, action=AuditEntry.Action.PHOTO_VIEWED, subject=f"photo:{photo.pk}")


def view_picture(*, photo: Photo, by: User) -> None:
    """Audit a view of the picture or heatmap, at most once an hour: one page requests them several times.

    A view of the page counts too.
    """
    if photo.owner_id != by.pk:
        lately = AuditEntry.objects.filter(
            subject=f"photo:{photo.pk}",
            created__gte=timezone.now() - PICTURE_LOOK,
            actor=str(by.pk),
            action=AuditEntry.Action.PHOTO_VIEWED,
        )
        if by.sees_all_patients and lately.exists():
            return
    view_photo(photo=photo, by=by)


def retry_photo(*, photo: Photo, by: User) -> bool:
    """Queue a failed photo again. Returns False if it is not failed (any more).

    Raises NotAllowed unless `by` is the owner, a clinician or an administrator.
    """
    if photo.owner_id != by.pk and not by.sees_all_patients:
        raise NotAllowed("This photo belongs to somebody else.")
    with transaction.atomic():
        changed = Photo.objects.filter(pk=photo.pk, status=Photo.Status.FAILED).update(
            status=Photo.Status.QUEUED, failure_code="", attempts=0, queued=timezone.now(), published=None
        )
        if changed:
            transaction.on_commit(functools.partial(_publish, photo.pk))
    return bool(changed)


def repredict_photo(*, photo: Photo, by: User) -> bool:
    """Queue an analysed photo for the live classifier. Earlier predictions are kept.

    Returns False if there is nothing to do: no classifier is live, the photo waits, or it has a prediction of the live
    classifier. Raises NotAllowed unless `by` is a clinician or an administrator.
    """
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians and administrators have a photo analysed again.")
    live = Classifier.objects.live()
    if live is None or photo.predictions.filter(classifier=live).exists():
        return False
    with transaction.atomic():
        changed = Photo.objects.filter(pk=photo.pk, status=Photo.Status.PREDICTED).update(
            status=Photo.Status.QUEUED, attempts=0, queued=timezone.now(), published=None
        )
        if changed:
            transaction.on_commit(functools.partial(_publish, photo.pk))
    return bool(changed)


def change_image_type(*, photo: Photo, by: User, image_type: str) -> None:
    """Correct the kind of picture that was told; "" leaves it to be recognised. Audited.

    An analysed photo is assessed again (`assess_again`). Raises NotAllowed unless `by` is the owner, a clinician or an
    administrator, ValidationError for an unknown kind, Photo.DoesNotExist if the photo was deleted.
    """
    if not by.is_active or (photo.owner_id != by.pk and not by.sees_all_patients):
        raise NotAllowed("This photo belongs to somebody else.")
    _check_image_type(image_type)
    with transaction.atomic():
        locked = Photo.objects.select_for_update().get(pk=photo.pk)
        if locked.image_type == image_type:
            return
        audit.record(
            actor=by,
            action=AuditEntry.Action.IMAGE_TYPE_CHANGED,
            subject=f"photo:{locked.pk}",
            before=locked.image_type,
            after=image_type,
        )
        locked.image_type = image_type
        locked.save(update_fields=["image_type"])
        assess_again(locked)


def delete_photo(*, photo: Photo, by: User) -> None:
    """Delete a photo permanently, with its predictions, findings and files. Only the owner may (NotAllowed)."""
    if photo.owner_id != by.pk:
        raise NotAllowed("Only the owner deletes a photo.")
    with transaction.atomic():
        locked = Photo.objects.select_for_update().filter(pk=photo.pk).first()
        if locked is None:
            return
        folder = f"{_folder(locked.pk)}/"
        names = [locked.image.name, locked.thumbnail.name, *(p.heatmap.name for p in locked.predictions.all())]
        elsewhere = [name for name in names if name and not name.startswith(folder)]
        audit.record(actor=by, action=AuditEntry.Action.PHOTO_DELETED, subject=f"photo:{locked.pk}")
        forget_photo(locked)
        locked.delete()
        # Delete the whole folder: a worker that was killed before its commit leaves a heatmap that no row refers to.
        erase_files([folder, *elsewhere])


def _check_image_type(image_type: str) -> None:
    """Raise ValidationError unless the kind of picture is one of the choices or not said."""
    try:
        Photo._meta.get_field("image_type").clean(image_type, None)
    except ValidationError as invalid:
        raise ValidationError({"image_type": invalid}) from invalid


def _earlier(owner: User, idempotency_key: str, accepted: AcceptedPhoto, metadata: PhotoMetadata) -> Photo | None:
    earlier = Photo.objects.filter(owner=owner, idempotency_key=idempotency_key).first()
    if earlier is None:
        return None
    # Apart from the kind of picture these columns never change after the upload, so they show what was first sent.
    sent = PhotoMetadata(
        lesion=earlier.lesion,
        age_approx=earlier.age_approx,
        sex=earlier.sex,
        anatom_site_general=earlier.anatom_site_general,
        image_type=_image_type_sent(earlier),
    )
    if earlier.original_sha256 != accepted.original_sha256 or sent != metadata:
        raise IdempotencyConflict
    return earlier


def _image_type_sent(photo: Photo) -> str:
    """The kind of picture that was told with the upload: that before the first correction."""
    corrections = AuditEntry.objects.filter(subject=f"photo:{photo.pk}", action=AuditEntry.Action.IMAGE_TYPE_CHANGED)
    first = corrections.order_by("created", "pk").first()
    return photo.image_type if first is None else str(first.detail["before"])


def _folder(photo_id: uuid.UUID) -> str:
    """The folder of all files of a photo."""
    return f"photos/{photo_id.hex[:2]}/{photo_id.hex}"


def _store(photo: Photo, name: str, content: bytes, written: list[str]) -> str:
    """Write one file of a photo under a server-made name. The client's file name is not used (R22)."""
    stored = default_storage.save(f"{_folder(photo.pk)}/{name}", ContentFile(content))
    written.append(stored)
    return stored


def _discard(written: list[str]) -> None:
    for name in written:
        default_storage.delete(name)


def _publish(photo_id: uuid.UUID) -> None:
    """After the commit: send the message and record that it was sent. Never raises, because the photo is stored."""
    try:
        if publish_photos([photo_id]):
            Photo.objects.filter(pk=photo_id, status=Photo.Status.QUEUED).update(published=timezone.now())
    except Exception:
        # The database is gone. The row does not say that the message was sent, so the sweep sends it again.
        logger.exception("A queued photo could not be marked as published.")
