"""Notifications to the owner of a photo: in the page always, by e-mail when they have not seen it there.

The e-mail of a notification waits some minutes (`accounts.outbox`) and is dropped once the notification is read, so
that nobody who watches the result arrive gets a message about it.
"""

from django.urls import reverse

from accounts.models import Notification, User
from accounts.services.notifications import forget, mark_read, notify
from diagnoses.photos.models import Photo, Prediction


def tell_owner(photo: Photo, *, kind: Notification.Kind, key: str) -> None:
    """Notify the owner of something new about their photo, once under this `key`. Inside the caller's transaction."""
    notify(
        user=photo.owner,
        kind=kind,
        subject=subject_of(photo),
        path=reverse("photo", args=[photo.pk]),
        key=key,
        data={"spot": photo.lesion.name if photo.lesion is not None else ""},
    )


def result_ready(*, photo: Photo, prediction: Prediction) -> None:
    """Tell the owner that an answer is there; once for every prediction. Inside the transaction that records it."""
    tell_owner(photo, kind=Notification.Kind.RESULT, key=f"result:{prediction.pk}")


def analysis_failed(*, photo: Photo) -> None:
    """Tell the owner that the photo could not be analysed; again when it fails again after another try."""
    tell_owner(photo, kind=Notification.Kind.FAILED, key=f"failed:{photo.pk}:{photo.queued:%Y%m%d%H%M%S%f}")


def photo_opened(*, photo: Photo, by: User) -> None:
    """The owner has the photo's page before them: what was told about it is read."""
    if photo.owner_id == by.pk:
        mark_read(user=by, subject=subject_of(photo))


def forget_photo(photo: Photo) -> None:
    """Take back everything told about a photo. Inside the transaction that deletes it."""
    forget(subject_of(photo))


def subject_of(photo: Photo) -> str:
    """What notifications about a photo are filed under."""
    return f"photo:{photo.pk}"
