"""Template tags of notifications: the number of unread ones, and the text of one."""

from django import template

from accounts import notification_texts
from accounts.models import Notification, User

register = template.Library()


@register.simple_tag
def unread_notifications(user: object) -> dict[str, object]:
    """`number` and `words` of the unread notifications of `user`; zero for visitors. One query."""
    unread = Notification.objects.unread().filter(user=user).count() if isinstance(user, User) else 0
    return {"number": unread, "words": notification_texts.unread_words(unread)}


@register.filter
def notification_title(notification: Notification) -> str:
    """The title of a notification."""
    return notification_texts.title(notification)


@register.filter
def notification_sentence(notification: Notification) -> str:
    """The text of a notification; it names the spot."""
    return notification_texts.sentence(notification)
