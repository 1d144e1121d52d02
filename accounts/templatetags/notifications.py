"""What templates print of notifications: how many are unread, and the words of one."""

from django import template

from accounts import notification_texts
from accounts.models import Notification, User

register = template.Library()


@register.simple_tag
def unread_notifications(user: object) -> dict[str, object]:
    """`number` and `words` of what `user` has not read; nothing for strangers. One query."""
    unread = Notification.objects.unread().filter(user=user).count() if isinstance(user, User) else 0
    return {"number": unread, "words": notification_texts.unread_words(unread)}


@register.filter
def notification_title(notification: Notification) -> str:
    """A few words."""
    return notification_texts.title(notification)


@register.filter
def notification_sentence(notification: Notification) -> str:
    """One sentence that names the spot."""
    return notification_texts.sentence(notification)
