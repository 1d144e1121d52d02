"""Writes to consents: publish a text, give consent, withdraw consent.

There are two purposes. Diagnosis: a patient cannot upload without it. Training: voluntary. `User.training_consent`
is kept equal to the second, because data sets are collected by that column.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import audit
from accounts.models import AuditEntry, Consent, ConsentText, Purpose, User
from accounts.permissions import NotAllowed


class NoConsentText(Exception):
    """No text of this purpose has been published."""


class ConsentRequired(Exception):
    """This patient has not agreed to the current text about diagnosis, so no photo of theirs may be stored."""


def needs_consent(user: User) -> bool:
    """Whether `user` must agree to the current text about diagnosis before uploading a photo.

    Patients only: for clinicians and administrators their contract applies. False if no text was published.
    """
    if not user.is_patient:
        return False
    text = ConsentText.objects.current(Purpose.DIAGNOSIS)
    return text is not None and not Consent.objects.standing().filter(user=user, text=text).exists()


def require_consent(user: User) -> None:
    """Raise `ConsentRequired` if `user` must agree first."""
    if needs_consent(user):
        raise ConsentRequired


def consent_of(user: User, purpose: Purpose) -> Consent | None:
    """The newest consent that was not withdrawn, to any version of the text. None if there is none."""
    standing = Consent.objects.standing().filter(user=user, text__purpose=purpose)
    return standing.select_related("text").order_by("-text__version").first()


@transaction.atomic
def give_consent(*, user: User, purpose: Purpose, by: User, version: int | None = None) -> Consent:
    """Record that `user` agrees to the current text. If they agreed before, return that consent.

    `version` is the one the person read. Raises ValidationError if a newer one has been published, NotAllowed unless
    `by` is the user, NoConsentText if there is no text.
    """
    _require_self(user, by)
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    text = ConsentText.objects.current(purpose)
    if text is None:
        raise NoConsentText(purpose)
    if version is not None and version != text.version:
        raise ValidationError(
            gettext("A new version of this text has been published just now. Please read it."), code="newer"
        )
    consent = Consent.objects.standing().filter(user=locked, text=text).first()
    if consent is None:
        consent = Consent.objects.create(user=locked, text=text)
        audit.record(
            actor=by,
            action=AuditEntry.Action.CONSENT_GIVEN,
            subject=f"user:{user.pk}",
            purpose=str(purpose),
            version=text.version,
        )
    if purpose == Purpose.TRAINING and locked.training_consent is None:
        _set_training(user, locked, given=True)
    return consent


@transaction.atomic
def withdraw_consent(*, user: User, purpose: Purpose, by: User) -> bool:
    """Withdraw the consents of `user` to all versions. Returns False if there were none. Raises NotAllowed.

    Diagnosis: no new photos are accepted; existing ones stay readable until they are deleted. Training: later data
    sets leave the photos out; sealed data sets do not change.
    """
    _require_self(user, by)
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    standing = Consent.objects.standing().filter(user=locked, text__purpose=purpose)
    versions = sorted(standing.values_list("text__version", flat=True))
    standing.update(withdrawn=timezone.now())
    had_training = purpose == Purpose.TRAINING and locked.training_consent is not None
    if had_training:
        _set_training(user, locked, given=False)
    if versions or had_training:
        audit.record(
            actor=by,
            action=AuditEntry.Action.CONSENT_WITHDRAWN,
            subject=f"user:{user.pk}",
            purpose=str(purpose),
            versions=versions,
        )
    return bool(versions) or had_training


def set_training_consent(*, user: User, given: bool, by: User) -> User:
    """Record whether `user` agrees that their confirmed photos may train a classifier."""
    if given:
        give_consent(user=user, purpose=Purpose.TRAINING, by=by)
    else:
        withdraw_consent(user=user, purpose=Purpose.TRAINING, by=by)
    return user


@transaction.atomic
def publish_consent_text(*, purpose: Purpose, text_kk: str, text_ru: str, text_en: str, by: User) -> ConsentText:
    """Publish the next version of a text. A new text about diagnosis: every patient is asked before the next upload.

    Raises NotAllowed unless `by` is an administrator, ValidationError if a text is empty, too long, or unchanged in
    all languages.
    """
    if not (by.is_active and by.is_administrator):
        raise NotAllowed("Only an administrator publishes what people agree to.")
    # The lock makes a second publication wait. The constraint refuses a duplicate version in any case.
    current = ConsentText.objects.select_for_update().current(purpose)
    texts = {"text_kk": text_kk.strip(), "text_ru": text_ru.strip(), "text_en": text_en.strip()}
    if current is not None and all(getattr(current, name) == words for name, words in texts.items()):
        raise ValidationError(gettext("This is the text that is in force already."), code="same")
    text = ConsentText(
        purpose=purpose, version=current.version + 1 if current is not None else 1, published_by=by, **texts
    )
    text.full_clean()
    text.save(force_insert=True)
    audit.record(
        actor=by,
        action=AuditEntry.Action.CONSENT_TEXT_PUBLISHED,
        subject=f"consent-text:{text.pk}",
        purpose=str(purpose),
        version=text.version,
    )
    return text


def _set_training(user: User, locked: User, *, given: bool) -> None:
    """Update `training_consent` in the database and in the caller's object."""
    locked.training_consent = user.training_consent = timezone.now() if given else None
    locked.save(update_fields=["training_consent"])


def _require_self(user: User, by: User) -> None:
    if by.pk != user.pk or not by.is_active:
        raise NotAllowed("Only the person alone can agree to this.")
