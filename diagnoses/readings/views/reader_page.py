"""What the page of a reader and a photo shows, stage by stage.

Blindness is kept here: before the blind answer nothing of the classifier, and before the final one nothing of another
reader, is in the context of the template at all.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Profile, User
from diagnoses.photos.models import CHECKLIST_MAJOR, CHECKLIST_MINOR, CHECKLIST_REFERS, Photo, PhotoHistory, Prediction
from diagnoses.photos.probabilities import bars
from diagnoses.readings.forms import AgreedForm, BlindForm, FinalForm, HistopathologyForm, value_of
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.outcome import outcome_of
from diagnoses.readings.rules import Said, answer_of, role_in
from diagnoses.readings.services import Refusal, somebody_else_may_read
from recognition.inference.assessment import Gate

EARLIER_SHOWN: Final = 12  # other photos of the lesion beside this one; two rows of thumbnails

REFUSALS: Final[dict[Refusal, str | Promise]] = {
    Refusal.CLOSED: gettext_lazy(
        "A colleague has finished reading this photo a moment before you. Nothing you filled in is lost: you can "
        "record it as a second reading."
    ),
    Refusal.SETTLED: gettext_lazy(
        "This photo has been settled meanwhile, so that no further reading is taken. What you filled in is still below."
    ),
    Refusal.ALREADY: gettext_lazy("You have read this photo already."),
    Refusal.BLIND_STANDS: gettext_lazy("Your first blind answer stands: the prediction has been shown since."),
    Refusal.NOT_REVEALED: gettext_lazy("Say first what you see, before the prediction is shown."),
    Refusal.ADJUDICATES: gettext_lazy(
        "Two colleagues have read this photo meanwhile and disagree, so that your answer now decides. Look at what "
        "they said, and record yours again; nothing you filled in is lost."
    ),
    Refusal.NOBODY: gettext_lazy("There is nobody else who could read this photo."),
    Refusal.NOT_SO: gettext_lazy("This is not possible for this photo any more."),
}


class Stage(StrEnum):
    """Where one reader stands with one photo."""

    BLIND = "blind"
    """They have not said what they see."""
    FINAL = "final"
    """They have, and the prediction is shown."""
    RECORDED = "recorded"
    """Their final answer is on record; others may still be waited for."""
    CLOSED = "closed"
    """Settled without them."""


@dataclass(frozen=True)
class Earlier:
    """Another photo of the same lesion, and its day counted from the first."""

    photo: Photo
    day: int


@dataclass(frozen=True)
class Answer:
    """One answer of the history: the question, and "yes", "no" or whatever was chosen; `points` of the checklist."""

    question: str | Promise
    words: str | Promise
    points: int = 0


def own_reading(photo: Photo, user: User) -> Reading | None:
    """The reading of `photo` that `user` has begun or recorded."""
    return next((each for each in photo.readings.all() if each.reader_id == user.pk), None)


def stage_of(photo: Photo, user: User) -> Stage:
    """Where `user` stands with `photo`; reads `photo.readings`."""
    own = own_reading(photo, user)
    if own is not None and own.recorded is not None:
        return Stage.RECORDED
    if photo.review_state == Photo.ReviewState.READ:
        return Stage.CLOSED
    return Stage.FINAL if own is not None and own.revealed is not None else Stage.BLIND


def page_context(
    user: User,
    photo: Photo,
    *,
    blind_form: BlindForm | None = None,
    final_form: FinalForm | None = None,
    histopathology: HistopathologyForm | None = None,
    agreed: AgreedForm | None = None,
    refused: Refusal | None = None,
) -> dict[str, Any]:
    """What the template prints for `user`; a form that was refused is shown again as it was filled in."""
    own = own_reading(photo, user)
    # Who was refused after the reveal goes on with the form, whatever has become of the photo.
    stage = Stage.FINAL if final_form is not None else stage_of(photo, user)
    role = role_in(photo.review_state)
    context: dict[str, Any] = {
        "photo": photo,
        "stage": stage.value,
        "role": role,
        "history": _history(photo),
        "checklist_refers": CHECKLIST_REFERS,
        "profile": Profile.objects.filter(user=photo.owner_id).first(),
        "earlier": _earlier(photo),
        "others_reading": _others_reading(photo, user),
    }
    if stage is Stage.BLIND:
        context["form"] = blind_form or BlindForm()
        return context
    prediction = own.prediction if own is not None and own.revealed is not None else photo.prediction
    context |= {"own": own, "reviews": True} | _revealed(prediction)
    if stage is Stage.FINAL:
        assert own is not None
        blind = value_of(Said(own.blind_answer, own.blind_diagnosis))
        context |= {
            "form": final_form or FinalForm(initial={"said": blind}),
            "blind": blind,
            "refusal": REFUSALS[refused] if refused is not None else "",
            "refused": refused.value if refused is not None else "",
            # Only who decides between the two sees what they said, and for whom it is too late; a second reader, also
            # one who insists on being it, does not.
            "readings": _recorded(photo) if role == "adjudication" or refused is Refusal.SETTLED else [],
        }
        return context
    context |= _finished(photo)
    context["histopathology_form"] = histopathology or HistopathologyForm(prefix="tissue")
    context["agreed_form"] = agreed or AgreedForm(prefix="agreed")
    return context


def _revealed(prediction: Prediction | None) -> dict[str, Any]:
    """What the classifier said."""
    if prediction is None:
        return {"prediction": None, "predicted": ""}
    return {
        "prediction": prediction,
        "predicted": answer_of(prediction),
        "assessed": prediction.assessed,
        "uncertain": prediction.assessed is not None and not prediction.assessed.gate(Gate.PREDICTION_SET).passed,
        "bars": bars(prediction),
    }


def _finished(photo: Photo) -> dict[str, Any]:
    """What somebody who has read the photo, or for whom it is settled, sees of it."""
    recorded = _recorded(photo)
    is_read = photo.review_state == Photo.ReviewState.READ
    readers = [each.reader_id for each in recorded]
    left = somebody_else_may_read(photo, but=readers)
    findings = list(photo.findings.all())
    of_tissue = any(finding.source == Finding.Source.HISTOPATHOLOGY for finding in findings)
    roles = {each.role for each in recorded}
    return {
        "readings": recorded,
        "findings": [finding for finding in findings if finding.reading_id is None],
        "ground_truth": photo.ground_truth,
        "outcome": outcome_of(photo),
        # A second reading was wanted, and there was nobody for it.
        "read_alone": is_read and bool(photo.second_reason) and roles == {Reading.Role.FIRST},
        "may_ask_second": is_read and roles == {Reading.Role.FIRST} and left and not of_tissue,
        "may_settle": photo.review_state == Photo.ReviewState.SECOND and not left,
        "nobody_decides": photo.review_state == Photo.ReviewState.ADJUDICATION and not left,
    }


def _recorded(photo: Photo) -> list[Reading]:
    order = list(Reading.Role.values)
    return sorted((each for each in photo.readings.all() if each.recorded), key=lambda each: order.index(each.role))


def _others_reading(photo: Photo, user: User) -> bool:
    """Whether somebody else has the photo open or begun, in case two would rather not read one photo at once."""
    return any(each.reader_id != user.pk and each.recorded is None for each in photo.readings.all())


def _earlier(photo: Photo) -> list[Earlier]:
    """Other photos of the lesion, newest first, with their day; none of them says what they showed."""
    if photo.lesion_id is None:
        return []
    rows = Photo.objects.filter(lesion_id=photo.lesion_id)
    first = rows.order_by("created", "pk").values_list("created", flat=True).first() or photo.created
    others = rows.exclude(pk=photo.pk).order_by("-created", "-pk")[:EARLIER_SHOWN]
    return [Earlier(each, (each.created - first).days) for each in others]


def _history(photo: Photo) -> dict[str, Any] | None:
    """What the patient said of the spot; None where they said nothing."""
    history: PhotoHistory | None = getattr(photo, "history", None)
    if history is None or not history.answered:
        return None
    answers = []
    if history.duration:
        answers.append(Answer(_("How long it has been there"), history.get_duration_display()))
    for name in (*CHECKLIST_MAJOR, "raised", *CHECKLIST_MINOR):
        value = getattr(history, name)
        if value is not None:
            label = str(PhotoHistory._meta.get_field(name).verbose_name)  # type: ignore[union-attr]  # a plain column
            points = 2 if name in CHECKLIST_MAJOR else 1 if name in CHECKLIST_MINOR else 0
            answers.append(Answer(label, _("yes") if value else _("no"), points if value else 0))
    return {
        "answers": answers,
        "note": history.note,
        "score": history.checklist_score,
        "refers": history.checklist_score >= CHECKLIST_REFERS,
    }
