"""Writes the reported history of a photo, and updates the photo's decision."""

from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.lesions.models import Reminder
from diagnoses.photos.models import Photo, PhotoHistory
from recognition.inference.assessment import Decision


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


def effective_decision(decision: str, history: PhotoHistory | None) -> str:
    """The decision after the reported history: MONITOR becomes SOON if the history needs a doctor. All other decisions
    stay those of the classifier.
    """
    if decision == Decision.MONITOR and history is not None and history.needs_a_doctor:
        return Decision.SOON.value
    return decision


def record_history(*, photo: Photo, by: User, answers: HistoryAnswers) -> PhotoHistory:
    """Save the reported history of a photo: once, before or after the prediction.

    If the prediction is MONITOR and the answers need a doctor, the photo's decision becomes SOON and the reminder of
    the spot ends. Raises NotAllowed unless `by` is the owner, ValidationError if nothing was answered, an answer is
    invalid, or the history was saved before.
    """
    if photo.owner_id != by.pk or not by.is_active:
        raise NotAllowed("Only the owner says what they know of a spot.")
    if not answers.given:
        raise ValidationError(_("Answer at least one of the questions."))
    with transaction.atomic():
        # The same lock that a worker takes to write its result, so that the second one sees what the first one wrote.
        locked = Photo.objects.select_for_update().get(pk=photo.pk)
        if PhotoHistory.objects.filter(photo=locked).exists():
            raise ValidationError(_("These questions have been answered for this photo already."), code="told")
        history = PhotoHistory(photo=locked, **asdict(answers))
        history.full_clean(validate_unique=False)
        history.save(force_insert=True)
        decision = effective_decision(locked.decision, history)
        Photo.objects.filter(pk=locked.pk).update(decision=decision, history=history)
        if decision != locked.decision and locked.lesion_id is not None:
            Reminder.objects.standing().filter(lesion_id=locked.lesion_id).update(ended=timezone.now())
    photo.decision = decision
    photo.history = history
    return history
