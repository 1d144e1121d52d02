"""Erases a whole account."""

from typing import Final

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model, ProtectedError
from knox.models import AuthToken

from accounts import audit
from accounts.models import AuditEntry, Consent, Notification, Profile, Role, User
from accounts.permissions import NotAllowed
from diagnoses.lesions.models import Lesion
from diagnoses.photos.models import Photo
from diagnoses.photos.services import delete_photo

NOWHERE: Final = "erased.invalid"
"""A domain that never receives e-mail (RFC 2606)."""


class LastAdministrator(Exception):
    """Raised if the last administrator wants to erase their account."""


@transaction.atomic
def erase_account(*, user: User, by: User) -> bool:
    """Erase `user` and all their data: photos, results, files, spots, reminders, share links, notifications, consents.

    Files are deleted through the outbox of erased files, so that they are deleted later if the storage is down. A
    worker that is analysing a photo finds it gone. The audit log keeps the account's number, which then refers to
    nobody. Sealed data sets with confirmed photos do not change (`training.data.versions`).

    Returns False if the account had to be kept: somebody who recorded findings on other people's photos, or imported or
    trained, loses name and address and is switched off, but the work stays.

    Raises NotAllowed unless `by` is the user, LastAdministrator.
    """
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone erases their account.")
    # Lock the administrators in the same order as accounts.services.people. Of the last two, the second waits.
    administrators = list(
        User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True).order_by("pk")
    )
    # A simultaneous upload needs this row. It waits and then finds no owner.
    locked = User.objects.select_for_update().get(pk=user.pk)
    if locked.role == Role.ADMINISTRATOR and [each.pk for each in administrators] == [locked.pk]:
        raise LastAdministrator
    photos = list(Photo.objects.filter(owner=locked).order_by("pk"))
    for photo in photos:
        delete_photo(photo=photo, by=locked)
    lesions = list(Lesion.objects.filter(owner=locked).order_by("pk"))
    _forget_in_admin(Lesion, [str(lesion.pk) for lesion in lesions])
    for lesion in lesions:
        lesion.delete()
    _forget_in_admin(User, [str(locked.pk)])
    _end_sessions(locked)
    gone = _delete(locked)
    if not gone:
        _make_nobody(locked)
    audit.record(
        actor=by,
        action=AuditEntry.Action.ACCOUNT_ERASED,
        subject=f"user:{user.pk}",
        photos=len(photos),
        lesions=len(lesions),
        number_stays=not gone,
    )
    return gone


def _delete(user: User) -> bool:
    """Delete the row with all dependent rows. Returns False if their work on other people's photos protects it."""
    try:
        with transaction.atomic():
            user.delete()
    except ProtectedError:
        return False
    return True


def _make_nobody(user: User) -> None:
    """Keep the row for the work that refers to it. Delete everything that identifies the person or allows a sign-in."""
    owned: list[type[Model]] = [Profile, Consent, Notification, AuthToken, EmailAddress, Authenticator, LogEntry]
    for model in owned:
        model._default_manager.filter(user=user).delete()
    user.email = f"{user.pk}@{NOWHERE}"
    user.name = ""
    user.language = ""
    user.is_active = False
    user.training_consent = None
    user.notify_by_email = False
    user.last_login = None
    user.set_unusable_password()
    user.save()


def _forget_in_admin(model: type[Model], keys: list[str]) -> None:
    """Delete entries of Django's admin log, which contain addresses and names of spots."""
    kind = ContentType.objects.get_for_model(model)
    LogEntry.objects.filter(content_type=kind, object_id__in=keys).delete()


def _end_sessions(user: User) -> None:
    """Delete all sessions of the user. The user is inside the session data, so all current sessions are read."""
    key = str(user.pk)
    mine = [
        session.pk
        for session in Session.objects.iterator(chunk_size=1000)
        if session.get_decoded().get("_auth_user_id") == key
    ]
    Session.objects.filter(pk__in=mine).delete()
