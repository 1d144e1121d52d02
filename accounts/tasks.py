"""Celery tasks of this app. Each one calls one function."""

from celery import shared_task


@shared_task(name="accounts.send_notifications", soft_time_limit=30, time_limit=40)
def send_notifications_task() -> None:
    """Start sending due e-mails; returns at once.

    Only the scheduler calls this, every minute. E-mails wait two minutes in any case.
    """
    # Only the worker loads this; the web process imports this module too.
    from accounts import outbox

    outbox.send_in_background()
