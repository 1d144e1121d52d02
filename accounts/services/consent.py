"""Writes to consents: agreeing to a text, and taking it back."""

from django.utils import timezone

from accounts.models import User


def set_training_consent(*, user: User, given: bool, by: User) -> User:
    """Record that `user` agrees, or no longer agrees, that confirmed photos of theirs may teach a classifier.

    Only the person alone may say so. A withdrawal keeps the photos out of every later data set; sealed ones stay.
    """
    if by.pk != user.pk or not by.is_active:
        raise PermissionError("Only the person alone can agree to this.")
    if given != (user.training_consent is not None):
        user.training_consent = timezone.now() if given else None
        user.save(update_fields=["training_consent"])
    return user
