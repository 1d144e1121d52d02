"""Notifications to the owner of a photo: always on the site, by e-mail if they are not read there.

The e-mail waits some minutes (`accounts.outbox`) and is cancelled if the notification is read. So an owner who waits on
the page gets no e-mail.
"""

from django.urls import reverse

from accounts.models import Notification, User
from accounts.services.notifications import forget, mark_read, notify
from diagnoses.photos.models import Photo, PhotoAssessment


def tell_owner(photo: Photo, *, kind: Notification.Kind, key: str) -> None:
    """Notify the owner about their photo, once for this `key`. Inside the caller's transaction."""
    notify(
        user=photo.owner,
        kind=kind,
        subject=subject_of(photo),
        path=reverse("photo", args=[photo.pk]),
        key=key,
        data={"spot": photo.lesion.name if photo.lesion is not None else ""},
    )


def result_ready(*, photo: Photo, assessment: PhotoAssessment) -> None:
    """Notify the owner of a result, once for each time it was queued. Inside the transaction that records it.

    After a roll back an earlier assessment may count again, and is told again.
    """
    key = f"result:{assessment.pk}:{photo.queued:%Y%m%d%H%M%S%f}"
    tell_owner(photo, kind=Notification.Kind.RESULT, key=key)


def advice_has_risen(*, photo: Photo, assessment: PhotoAssessment) -> None:
    """Notify the owner that the advice has become graver by what was told. Inside the transaction that records it."""
    tell_owner(photo, kind=Notification.Kind.RESULT, key=f"risen:{assessment.pk}:{photo.history_id or 0}")


def analysis_failed(*, photo: Photo) -> None:
    """Notify the owner that the analysis failed, again after each further failed attempt.

    Not of a photo that was judged again: its earlier answer stands, so nothing has changed for the owner.
    """
    if photo.assessment_id is not None:
        return
    tell_owner(photo, kind=Notification.Kind.FAILED, key=f"failed:{photo.pk}:{photo.queued:%Y%m%d%H%M%S%f}")


def photo_opened(*, photo: Photo, by: User) -> None:
    """Mark the notifications about a photo as read, because the owner has its page open."""
    if photo.owner_id == by.pk:
        mark_read(user=by, subject=subject_of(photo))


def forget_photo(photo: Photo) -> None:
    """Delete all notifications about a photo. Inside the transaction that deletes it."""
    forget(subject_of(photo))


def subject_of(photo: Photo) -> str:
    """The `subject` of notifications about a photo."""
    return f"photo:{photo.pk}"
