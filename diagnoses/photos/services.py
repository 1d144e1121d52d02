"""Writes to photos by people: submit, look, retry, delete."""

import functools
import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

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
from diagnoses.photos.files import erase_files
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.notifications import forget_photo
from diagnoses.photos.queue import publish_photos
from recognition.sandbox import AcceptedPhoto, IntakeLimits, accept_photo, shown_name
from recognition.sandbox.perceptual_hash import SAME_PICTURE_DISTANCE

logger = logging.getLogger(__name__)


PICTURE_LOOK = timedelta(hours=1)
"""A picture asked for again within this time is the same look."""


class IdempotencyConflict(Exception):
    """The client used one Idempotency-Key for two different uploads: another file, or other words about it."""


@dataclass(frozen=True, kw_only=True)
class PhotoMetadata:
    """What the patient told us besides the picture, in ISIC words; validated by whoever asked."""

    lesion: Lesion | None = None
    age_approx: int | None = None
    sex: str = ""
    anatom_site_general: str = ""


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
    """Accept an upload: judge it, store it, queue it. When this returns, the photo cannot be lost any more.

    `history` is what the patient says of the spot, kept with the photo before any prediction. A reminder that stood for
    the lesion is thereby kept, and ends. Raises `PhotoRejected` (nothing stored) when intake refuses the file,
    `IdempotencyConflict` when the key was used for another upload, `ConsentRequired` before a patient has agreed,
    NotAllowed when the account is switched off or the lesion is somebody else's, ValidationError for a history that is
    none.
    """
    if not owner.is_active:
        raise NotAllowed("This account is switched off.")
    if metadata.lesion is not None and metadata.lesion.owner_id != owner.pk:
        raise NotAllowed("This lesion belongs to somebody else.")
    require_consent(owner)

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
        # Two requests with one key at the same moment: the other one won.
        earlier = _earlier(owner, idempotency_key, accepted, metadata) if idempotency_key else None
        if earlier is None:
            raise
        return earlier
    except (OperationalError, InterfaceError):
        # The connection broke: nobody knows whether the commit arrived. A file too many can be found and erased, a
        # file too few cannot be brought back.
        raise
    except BaseException:
        _discard(written)
        raise
    # Outside the `try`: the row is committed, and whatever telling the broker runs into, its files stay.
    transaction.on_commit(functools.partial(_publish, photo.pk))
    return photo


def recognise(photo: Photo) -> KnownImage | None:
    """The data-set image whose picture this is, if any."""
    return KnownImage.objects.recognise(
        original_sha256=photo.original_sha256,
        content_hash=photo.content_hash,
        max_distance=SAME_PICTURE_DISTANCE,
    )


def view_photo(*, photo: Photo, by: User) -> None:
    """Record that somebody other than the owner looked at a photo. Raises NotAllowed where they may not."""
    if photo.owner_id == by.pk:
        return
    if not by.sees_all_patients:
        raise NotAllowed("This photo belongs to somebody else.")
    audit.record(actor=by, action=AuditEntry.Action.PHOTO_VIEWED, subject=f"photo:{photo.pk}")


def view_picture(*, photo: Photo, by: User) -> None:
    """The same for the picture or heatmap alone, once an hour: a page shows both, and a browser asks for pieces.

    A look at the page counts as well.
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
    """Queue a failed photo again. False when it is not failed (any more).

    Raises NotAllowed for anybody but the owner, clinicians and administrators.
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
    """Queue an analysed photo for the live classifier; its earlier predictions stay, the new one comes beside them.

    False where there is nothing to do: no classifier is live, the photo waits, or the live one has answered already.
    Raises NotAllowed for anybody but clinicians and administrators.
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


def delete_photo(*, photo: Photo, by: User) -> None:
    """Delete a photo, its predictions, findings and files for good. Only its owner may (NotAllowed)."""
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
        # The whole folder: a worker killed between a heatmap and its commit leaves a file that no row names.
        erase_files([folder, *elsewhere])


def _earlier(owner: User, idempotency_key: str, accepted: AcceptedPhoto, metadata: PhotoMetadata) -> Photo | None:
    earlier = Photo.objects.filter(owner=owner, idempotency_key=idempotency_key).first()
    if earlier is None:
        return None
    # Nothing of this changes after the upload, so the row says what was sent with the key the first time.
    told = PhotoMetadata(
        lesion=earlier.lesion,
        age_approx=earlier.age_approx,
        sex=earlier.sex,
        anatom_site_general=earlier.anatom_site_general,
    )
    if earlier.original_sha256 != accepted.original_sha256 or told != metadata:
        raise IdempotencyConflict
    return earlier


def _folder(photo_id: uuid.UUID) -> str:
    """Where all files of a photo lie."""
    return f"photos/{photo_id.hex[:2]}/{photo_id.hex}"


def _store(photo: Photo, name: str, content: bytes, written: list[str]) -> str:
    """Write one file of a photo under a name made here; the client's file name plays no part (R22)."""
    stored = default_storage.save(f"{_folder(photo.pk)}/{name}", ContentFile(content))
    written.append(stored)
    return stored


def _discard(written: list[str]) -> None:
    for name in written:
        default_storage.delete(name)


def _publish(photo_id: uuid.UUID) -> None:
    """After the commit: tell the broker, and remember that it was told. Never raises: the photo is safe already."""
    try:
        if publish_photos([photo_id]):
            Photo.objects.filter(pk=photo_id, status=Photo.Status.QUEUED).update(published=timezone.now())
    except Exception:
        # The database went away just now. The row says nothing was sent, so the sweep sends it.
        logger.exception("A queued photo could not be marked as published.")
