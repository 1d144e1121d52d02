"""Own the erasure of a whole account."""

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
"""No mail ever arrives there (RFC 2606)."""


class LastAdministrator(Exception):
    """Nobody would be left who can make another administrator."""


@transaction.atomic
def erase_account(*, user: User, by: User) -> bool:
    """Erase `user` and all that is theirs: photos with results and files, spots, reminders, links, news, consents.

    Files go through the outbox of erasures, so that a storage that is down keeps nothing for good; a worker that has a
    photo in its hands finds it gone. The audit log keeps the number of the account, which leads nowhere any more, and
    data sets that were sealed with confirmed photos stay as they are (`training.data.versions`).

    Returns False where the account had to stay as a number: somebody who recorded what stands on other people's photos,
    or who imported and trained, is switched off and loses name and address; the work stays.

    Raises NotAllowed for anybody but the person, LastAdministrator.
    """
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone erases their account.")
    # One order for the rows of administrators, as in accounts.services.people: of the last two the second waits.
    administrators = list(
        User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True).order_by("pk")
    )
    # An upload at the same moment needs this row: it waits, and then there is nobody it could belong to.
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
    """Delete the row and what hangs on it; False where work of theirs on other people's photos holds it."""
    try:
        with transaction.atomic():
            user.delete()
    except ProtectedError:
        return False
    return True


def _make_nobody(user: User) -> None:
    """Keep the number, for what it has recorded, and nothing by which a person could be known or could sign in."""
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
    """Django's own log of the admin spells out what was changed: addresses, names of spots."""
    kind = ContentType.objects.get_for_model(model)
    LogEntry.objects.filter(content_type=kind, object_id__in=keys).delete()


def _end_sessions(user: User) -> None:
    """A session names its user inside; there are as many as people who signed in within two weeks."""
    key = str(user.pk)
    mine = [
        session.pk
        for session in Session.objects.iterator(chunk_size=1000)
        if session.get_decoded().get("_auth_user_id") == key
    ]
    Session.objects.filter(pk__in=mine).delete()
