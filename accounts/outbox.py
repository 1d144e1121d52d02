"""Sends the e-mails of notifications: selects those that are due, makes one attempt for each, handles failures.

The notification row is the outbox. If the mail server cannot be reached, no attempt is counted and the next round
tries again. If the server refuses an e-mail, it is tried `ATTEMPTS` times with growing pauses. A worker claims each
attempt in the database first, so that two workers never send the same e-mail. If a worker dies in between, the e-mail
is sent again after a pause: delivery is at least once.
"""

import logging
import smtplib
import threading
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core import mail
from django.db import connections
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import notification_texts
from accounts.models import Notification
from accounts.services.language import in_language_of

logger = logging.getLogger(__name__)

# Somebody who is using the site has seen the notification by then and needs no e-mail.
QUIET: Final = timedelta(minutes=2)
# The pauses after the first, second ... failed attempt. After the last one there is no further attempt.
PAUSES: Final = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=12))
ATTEMPTS: Final = len(PAUSES) + 1
# E-mails in one round. The next round comes in a minute.
BATCH: Final = 100

# Errors that concern one e-mail, and errors that concern all.
_REFUSED: Final = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)
_UNREACHABLE: Final = (OSError, smtplib.SMTPException)

_sending = threading.Lock()


def send_in_background() -> bool:
    """Send due e-mails in a separate thread. Returns False if an earlier thread is still running.

    The same worker predicts photos, and predictions must not wait for a mail server.
    """
    if not _sending.acquire(blocking=False):
        return False
    try:
        threading.Thread(target=_send_and_leave, name="outbox", daemon=True).start()
    except BaseException:
        _sending.release()
        raise
    return True


def _send_and_leave() -> None:
    try:
        send_due()
    except Exception:
        logger.exception("E-mails about news could not be sent; they wait for the next round.")
    finally:
        # Each thread has its own database connection. This thread ends here.
        connections.close_all()
        _sending.release()


def send_due() -> int:
    """Send the e-mails that are due, oldest first, at most `BATCH`. Returns how many the mail server accepted."""
    due = list(_due().order_by("created", "pk").values_list("pk", "email_attempts")[:BATCH])
    if not due:
        return 0
    connection = mail.get_connection()
    try:
        connection.open()
    except _UNREACHABLE as error:
        logger.warning("The mail server does not answer (%s): %d e-mail(s) wait.", type(error).__name__, len(due))
        return 0
    sent = 0
    try:
        for pk, attempts in due:
            notification = _claim(pk, attempts)
            if notification is None:
                continue
            try:
                _message(notification, connection).send()
            except _REFUSED as error:
                logger.warning("The mail server refused an e-mail (%s), try %d.", type(error).__name__, attempts + 1)
                continue
            except _UNREACHABLE as error:
                # The connection broke: the server may have accepted this one. Try again after the pause.
                logger.warning("The mail server broke off (%s).", type(error).__name__)
                break
            Notification.objects.filter(pk=pk).update(emailed=timezone.now())
            sent += 1
    finally:
        connection.close()
    return sent


def _due() -> Any:
    """Notifications that are unread, old enough, and whose pause has passed."""
    now = timezone.now()
    rested = Q(email_attempts=0, created__lte=now - QUIET)
    for failed, pause in enumerate(PAUSES, start=1):
        rested |= Q(email_attempts=failed, email_tried__lte=now - pause)
    return Notification.objects.to_send().unread().filter(rested)


def _claim(pk: int, attempts: int) -> Notification | None:
    """Claim the next attempt and return the notification. None if another worker has claimed it."""
    mine = Notification.objects.to_send().unread().filter(pk=pk, email_attempts=attempts)
    if not mine.update(email_attempts=attempts + 1, email_tried=timezone.now()):
        return None
    notification = Notification.objects.select_related("user").filter(pk=pk).first()
    if notification is None:
        return None
    if not (notification.user.is_active and notification.user.notify_by_email):
        Notification.objects.filter(pk=pk).update(email_due=False)
        return None
    return notification


def _message(notification: Notification, connection: Any) -> mail.EmailMessage:
    """The e-mail in the recipient's language. It says nothing medical; it links to the page."""
    user = notification.user
    with in_language_of(user):
        subject = notification_texts.email_subject(notification)
        body = render_to_string(
            "accounts/email/notification.txt",
            {
                "greeting": notification_texts.email_greeting(user.name),
                "subject": subject,
                "link": absolute(reverse("account-notification", args=[notification.pk])),
                "switch": absolute(reverse("account-notifications")),
            },
        )
        return mail.EmailMessage(
            subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}",
            body=body,
            to=[user.email],
            # Suppresses automatic replies such as "out of office" (RFC 3834).
            headers={"Auto-Submitted": "auto-generated"},
            connection=connection,
        )


def absolute(path: str) -> str:
    """A path of this application as an absolute URL."""
    return f"{settings.PUBLIC_URL}{path}"
