"""Writes to notifications: telling somebody, marking what was read, forgetting what is gone.

An e-mail is never sent from here. The row is the outbox; `accounts.outbox` sends what is still unread after a while.
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
    """Tell `user` something once: None where it was told already under this `key`, or the account is switched off.

    `subject` is "photo:<id>" or "lesion:<id>"; `path` a path of this application; `data` holds "spot", the name of the
    spot or "", and for a reminder "months". An e-mail follows when `email` and the person's own switch say so and the
    news is still unread some minutes later. Inside the caller's transaction; raises ValueError for an unknown kind and
    for a path that leads elsewhere.
    """
    kind = Notification.Kind(kind)
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"{path!r} is no path of this application.")
    if not user.is_active:
        return None
    told, is_new = Notification.objects.get_or_create(
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
    return told if is_new else None


def forget(subject: str) -> int:
    """Delete what was told about something that is deleted now. Inside the transaction that deletes it."""
    _all, by_model = Notification.objects.filter(subject=subject).delete()
    return by_model.get("accounts.Notification", 0)


def mark_read(*, user: User, subject: str | None = None, pk: int | None = None) -> int:
    """Mark one's own news as read: one of them, those about one subject, or all. Returns how many were unread.

    What is read needs no e-mail any more.
    """
    unread = Notification.objects.unread().filter(user=user)
    if subject is not None:
        unread = unread.filter(subject=subject)
    if pk is not None:
        unread = unread.filter(pk=pk)
    return unread.update(read=timezone.now(), email_due=False)


def set_email_switch(*, user: User, on: bool, by: User) -> User:
    """Whether news comes by e-mail as well. Switching off stops what has not been sent. Raises NotAllowed."""
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone decides this.")
    if user.notify_by_email != on:
        user.notify_by_email = on
        user.save(update_fields=["notify_by_email"])
    if not on:
        Notification.objects.to_send().filter(user=user).update(email_due=False)
    return user
