"""Writes to notifications: notify, mark as read, delete.

No e-mail is sent from here. The row is the outbox; `accounts.outbox` sends what is still unread after some minutes.
"""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from accounts.models import Notification, User
from accounts.permissions import NotAllowed


def notify(
    *,
    user: User,
    kind: Notification.Kind | str,
    subject: str,
    path: str,
    key: str,
    data: Mapping[str, Any] | None = None,
    email: bool = True,
) -> Notification | None:
    """Notify `user` once. Returns None if a notification with this `key` exists or the account is switched off.

    `subject` is "photo:<id>" or "lesion:<id>"; `path` is a path of this application; `data` holds "spot", the name of
    the spot or "", and for a reminder "months". An e-mail follows if `email` is true, the user's e-mail setting is on
    and the notification is still unread some minutes later. Runs inside the caller's transaction. Raises ValueError for
    an unknown kind and for a path outside this application.
    """
    kind = Notification.Kind(kind)
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"{path!r} is no path of this application.")
    if not user.is_active:
        return None
    notification, is_new = Notification.objects.get_or_create(
        user=user,
        key=key,
        defaults={
            "kind": kind,
            "subject": subject,
            "path": path,
            "data": dict(data or {}),
            "email_due": email and user.notify_by_email,
        },
    )
    return notification if is_new else None


def forget(subject: str) -> int:
    """Delete the notifications about a subject. Call this inside the transaction that deletes the subject."""
    _all, by_model = Notification.objects.filter(subject=subject).delete()
    return by_model.get("accounts.Notification", 0)


def mark_read(*, user: User, subject: str | None = None, pk: int | None = None) -> int:
    """Mark notifications of `user` as read: one, those about one subject, or all. Returns how many were unread.

    No e-mail is sent for a notification that has been read.
    """
    unread = Notification.objects.unread().filter(user=user)
    if subject is not None:
        unread = unread.filter(subject=subject)
    if pk is not None:
        unread = unread.filter(pk=pk)
    return unread.update(read=timezone.now(), email_due=False)


def set_email_switch(*, user: User, on: bool, by: User) -> User:
    """Switch e-mails about notifications on or off. Off also cancels unsent e-mails. Raises NotAllowed."""
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone decides this.")
    if user.notify_by_email != on:
        user.notify_by_email = on
        user.save(update_fields=["notify_by_email"])
    if not on:
        Notification.objects.to_send().filter(user=user).update(email_due=False)
    return user
