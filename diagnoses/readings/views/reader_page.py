"""The template context of the reading page, by stage.

This module keeps readers blind. Before the blind answer the context contains no prediction. Before the final answer it
contains no answer of another reader.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Profile, User
from diagnoses.photos.models import (
    CHECKLIST_MAJOR,
    CHECKLIST_MINOR,
    CHECKLIST_REFERS,
    Photo,
    PhotoAssessment,
    PhotoHistory,
)
from diagnoses.readings.forms import AgreedForm, BlindForm, FinalForm, HistopathologyForm, value_of
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.outcome import outcome_of
from diagnoses.readings.rules import Said, answer_of, role_in
from diagnoses.readings.services import ReadingRefusal, somebody_else_may_read

EARLIER_SHOWN: Final = 12  # other photos of the lesion; two rows of thumbnails

REFUSALS: Final[dict[ReadingRefusal, str | Promise]] = {
    ReadingRefusal.CLOSED: gettext_lazy(
        "A colleague has finished reading this photo a moment before you. Nothing you filled in is lost: you can "
        "record it as a second reading."
    ),
    ReadingRefusal.SETTLED: gettext_lazy(
        "This photo has been settled meanwhile, so that no further reading is taken. What you filled in is still below."
    ),
    ReadingRefusal.ALREADY: gettext_lazy("You have read this photo already."),
    ReadingRefusal.BLIND_STANDS: gettext_lazy("Your first blind answer stands: the prediction has been shown since."),
    ReadingRefusal.NOT_REVEALED: gettext_lazy("Say first what you see, before the prediction is shown."),
    ReadingRefusal.ADJUDICATES: gettext_lazy(
        "Two colleagues have read this photo meanwhile and disagree, so that your answer now decides. Look at what "
        "they said, and record yours again; nothing you filled in is lost."
    ),
    ReadingRefusal.NOBODY: gettext_lazy("There is nobody else who could read this photo."),
    ReadingRefusal.NOT_SO: gettext_lazy("This is not possible for this photo any more."),
}


class ReaderStage(StrEnum):
    """The stage of one reader with one photo."""

    BLIND = "blind"
    """The reader has not given the blind answer."""
    FINAL = "final"
    """The blind answer is given, and the prediction is shown."""
    RECORDED = "recorded"
    """The final answer is recorded. The photo may wait for other readers."""
    CLOSED = "closed"
    """The photo was settled without this reader."""


@dataclass(frozen=True)
class Earlier:
    """Another photo of the same lesion, with its day since the first photo."""

    photo: Photo
    day: int


@dataclass(frozen=True)
class HistoryAnswer:
    """One answer of the reported history: question, answer, and `points` of the checklist."""

    question: str | Promise
    words: str | Promise
    points: int = 0


def own_reading(photo: Photo, user: User) -> Reading | None:
    """The reading of `photo` by `user`, begun or recorded."""
    return next((each for each in photo.readings.all() if each.reader_id == user.pk), None)


def stage_of(photo: Photo, user: User) -> ReaderStage:
    """The stage of `user` with `photo`. Uses `photo.readings`."""
    own = own_reading(photo, user)
    if own is not None and own.recorded is not None:
        return ReaderStage.RECORDED
    if photo.review_state == Photo.ReviewState.READ:
        return ReaderStage.CLOSED
    return ReaderStage.FINAL if own is not None and own.revealed is not None else ReaderStage.BLIND


def page_context(
    user: User,
    photo: Photo,
    *,
    blind_form: BlindForm | None = None,
    final_form: FinalForm | None = None,
    histopathology: HistopathologyForm | None = None,
    agreed: AgreedForm | None = None,
    refused: ReadingRefusal | None = None,
) -> dict[str, Any]:
    """The template context for `user`. A refused form is shown again with its content."""
    own = own_reading(photo, user)
    # A reader whose final answer was refused continues with the form, in any state of the photo.
    stage = ReaderStage.FINAL if final_form is not None else stage_of(photo, user)
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
    if stage is ReaderStage.BLIND:
        context["form"] = blind_form or BlindForm()
        return context
    assessment = own.assessment if own is not None and own.revealed is not None else photo.assessment
    context |= {"own": own, "reviews": True} | _revealed(assessment)
    if stage is ReaderStage.FINAL:
        assert own is not None
        blind = value_of(Said(own.blind_answer, own.blind_diagnosis))
        context |= {
            "form": final_form or FinalForm(initial={"said": blind}),
            "blind": blind,
            "refusal": REFUSALS[refused] if refused is not None else "",
            "refused": refused.value if refused is not None else "",
            # Only the adjudicator, and a reader who is too late, see the answers of the others. A second reader does
            # not, also not one who insists.
            "readings": _recorded(photo) if role == "adjudication" or refused is ReadingRefusal.SETTLED else [],
        }
        return context
    context |= _finished(photo)
    context["histopathology_form"] = histopathology or HistopathologyForm(prefix="tissue")
    context["agreed_form"] = agreed or AgreedForm(prefix="agreed")
    return context


def _revealed(assessment: PhotoAssessment | None) -> dict[str, Any]:
    """The context of the classifier's answer."""
    return {"assessment": assessment, "predicted": "" if assessment is None else answer_of(assessment)}


def _finished(photo: Photo) -> dict[str, Any]:
    """The context for a reader who has read the photo, or for a settled photo."""
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
        # A second reading was needed, but nobody could give it.
        "read_alone": is_read and bool(photo.second_reason) and roles == {Reading.Role.FIRST},
        "may_ask_second": is_read and roles == {Reading.Role.FIRST} and left and not of_tissue,
        "may_settle": photo.review_state == Photo.ReviewState.SECOND and not left,
        "nobody_decides": photo.review_state == Photo.ReviewState.ADJUDICATION and not left,
    }


def _recorded(photo: Photo) -> list[Reading]:
    order = list(Reading.Role.values)
    return sorted((each for each in photo.readings.all() if each.recorded), key=lambda each: order.index(each.role))


def _others_reading(photo: Photo, user: User) -> bool:
    """Whether somebody else has begun to read the photo, so that two readers can avoid reading it at the same time."""
    return any(each.reader_id != user.pk and each.recorded is None for each in photo.readings.all())


def _earlier(photo: Photo) -> list[Earlier]:
    """Other photos of the lesion, newest first, with their day and without their results."""
    if photo.lesion_id is None:
        return []
    rows = Photo.objects.filter(lesion_id=photo.lesion_id)
    first = rows.order_by("created", "pk").values_list("created", flat=True).first() or photo.created
    others = rows.exclude(pk=photo.pk).order_by("-created", "-pk")[:EARLIER_SHOWN]
    return [Earlier(each, (each.created - first).days) for each in others]


def _history(photo: Photo) -> dict[str, Any] | None:
    """The reported history; None if nothing was reported."""
    history = photo.history
    if history is None or not history.answered:
        return None
    answers = []
    if history.duration:
        answers.append(HistoryAnswer(_("How long it has been there"), history.get_duration_display()))
    for name in (*CHECKLIST_MAJOR, "raised", *CHECKLIST_MINOR, "pain"):
        value = getattr(history, name)
        if value is not None:
            label = str(PhotoHistory._meta.get_field(name).verbose_name)  # type: ignore[union-attr]  # a plain column
            points = 2 if name in CHECKLIST_MAJOR else 1 if name in CHECKLIST_MINOR else 0
            answers.append(HistoryAnswer(label, _("yes") if value else _("no"), points if value else 0))
    return {
        "answers": answers,
        "note": history.note,
        "score": history.checklist_score,
        "refers": history.checklist_score >= CHECKLIST_REFERS,
        "told": history.created,
        "told_again": photo.histories.count() > 1,
    }
