"""Writes the reported history of a photo, and has the photo assessed again with it."""

from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.photos.assessments import assess_again
from diagnoses.photos.models import Photo, PhotoHistory


@dataclass(frozen=True, kw_only=True)
class HistoryAnswers:
    """The answers of the reported history: columns of `PhotoHistory`. None or "" means not answered."""

    duration: str = ""
    change_size: bool | None = None
    change_shape: bool | None = None
    change_colour: bool | None = None
    raised: bool | None = None
    diameter_7mm: bool | None = None
    inflamed: bool | None = None
    bleeding: bool | None = None
    itch: bool | None = None
    pain: bool | None = None
    note: str = ""

    @property
    def given(self) -> bool:
        """Whether anything was answered at all."""
        return self != HistoryAnswers()

    @classmethod
    def of(cls, history: PhotoHistory) -> "HistoryAnswers":
        """The answers of a stored history."""
        return cls(**{name: getattr(history, name) for name in cls.__dataclass_fields__})


def record_history(*, photo: Photo, by: User, answers: HistoryAnswers) -> PhotoHistory:
    """Save the reported history of a photo, before or after its result. Told again, it replaces the earlier answers,
    which are kept; the same answers once more change nothing.

    An analysed photo is assessed again with it (`assess_again`). Raises NotAllowed unless `by` is the owner,
    ValidationError if nothing was answered or an answer is invalid.
    """
    if photo.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the owner says what they know of a spot.")
    if not answers.given:
        raise ValidationError(_("Answer at least one of the questions."))
    with transaction.atomic():
        # The same lock that a worker takes to write its result, so that the second one sees what the first one wrote.
        locked = Photo.objects.select_for_update().get(pk=photo.pk)
        history = locked.history
        if history is None or HistoryAnswers.of(history) != answers:
            history = PhotoHistory(photo=locked, **asdict(answers))
            history.full_clean(validate_unique=False)
            history.save(force_insert=True)
            locked.history = history
            locked.save(update_fields=["history"])
            assess_again(locked)
    for name in ("history", "assessment", "diagnosis", "confidence", "malignant_score", "decision"):
        setattr(photo, name, getattr(locked, name))
    return history
