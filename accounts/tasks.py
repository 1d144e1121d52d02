"""Doors for the worker: nothing comes in, one function is called."""

from celery import shared_task


@shared_task(name="accounts.send_notifications", soft_time_limit=30, time_limit=40)
def send_notifications_task() -> None:
    """Start sending the e-mails that are due; returns at once.

    The scheduler asks every minute, and nobody else does: news waits two minutes for its reader in any case.
    """
    # Only the worker loads this; the web process imports this module too.
    from accounts import outbox

    outbox.send_in_background()
