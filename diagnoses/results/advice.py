"""The advice to the patient that follows from an assessment: its text and date, or why the picture was refused.

The decision was made by the classifier and is stored with the assessment. This module only gives it words.
"""

import calendar
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from diagnoses.labels import GATE_REASONS, Reason
from diagnoses.photos.models import Photo, PhotoAssessment
from diagnoses.photos.rejudging import rises
from recognition.inference.assessment import REFUSING, Assessment, Decision
from recognition.taxonomy import Diagnosis

# Kinds of advice for older assessments without a decision.
SEE: Final = "see"
WATCH: Final = "watch"

OTHER_IMAGE_TYPE: Final = "other_image_type"
"""The code of the gate that refuses a kind of picture which the classifier has not learned."""


@dataclass(frozen=True)
class Advice:
    """The text of what to do next.

    `kind` is a `Decision` value, or "see" or "watch" for an assessment without one. Only MONITOR has `photograph_by`;
    `is_due` says that this day has passed.
    """

    kind: str
    title: str
    detail: str
    photograph_by: date | None = None
    is_due: bool = False
    reasons: tuple[Reason, ...] = ()

    @property
    def is_refusal(self) -> bool:
        """Whether the picture could not be assessed."""
        return self.kind == Decision.NOT_ASSESSED

    @property
    def wants_another_photo(self) -> bool:
        """Whether another photo is what to do now: it is due, or may pass where this one did not."""
        other_kind = any(reason is GATE_REASONS[OTHER_IMAGE_TYPE] for reason in self.reasons)
        return self.is_due or (self.is_refusal and not other_kind)

    @property
    def is_strong(self) -> bool:
        """Whether a doctor should look because of the picture."""
        return self.kind in {Decision.URGENT, Decision.SOON, SEE}


def advice_on(photo: Photo, assessment: PhotoAssessment) -> Advice:
    """The advice for this assessment of this photo."""
    assessed = assessment.assessed
    advice = _without_decision(assessment) if assessed is None else _by_decision(photo, assessment, assessed)
    history = photo.history
    if history is not None and history.needs_a_doctor and not advice.is_strong:
        advice = _by_history(advice, assessment)
    known = photo.ground_truth
    if known is None or advice.is_strong or not _needs_a_doctor(Diagnosis(known.diagnosis)):
        return advice
    # The ground truth counts more than the classifier: nobody waits three months with a known cancer.
    return Advice(
        kind=Decision.SOON.value,
        title=_("This needs a doctor"),
        detail=_(
            "The spot is known to be something that is treated: see below what, and how that is known. Talk to your "
            "doctor about it soon, whatever the picture looks like to the computer."
        ),
    )


def _needs_a_doctor(diagnosis: Diagnosis) -> bool:
    return diagnosis.malignant or diagnosis.precursor


def _by_decision(photo: Photo, assessment: PhotoAssessment, assessed: Assessment) -> Advice:
    if assessed.decision in {Decision.URGENT, Decision.SOON}:
        return _see_a_doctor(assessment, urgent=assessed.decision is Decision.URGENT)
    if assessed.decision is Decision.NOT_ASSESSED:
        refusal = Advice(
            kind=assessed.decision.value,
            title=_("This photo could not be assessed"),
            detail=_("So there is no answer, neither good nor bad."),
            reasons=reasons_of(assessed),
        )
        if not refusal.wants_another_photo:
            return refusal
        return replace(refusal, detail=_("So there is no answer, neither good nor bad. Please take another photo."))
    return _monitor(photo, assessment, assessed)


def _by_history(advice: Advice, assessment: PhotoAssessment) -> Advice:
    """The advice if the reported history, not the classifier, needs a doctor."""
    if advice.is_refusal:
        # The picture still has no answer, so ask for another photo too. The appointment does not wait for it.
        return replace(
            advice,
            detail=_(
                "So there is no answer, neither good nor bad. But what you say of the spot is reason enough to have a "
                "doctor look at it within the next weeks. You may take another photo as well."
            ),
        )
    detail = _(
        "A spot that is raised or changing, or has several of the signs you were asked about, should be seen by a "
        "doctor within the next weeks, whatever a picture shows. Please make an appointment."
    )
    if assessment.picture_decision != Decision.SOON:
        detail = _("The picture alone would allow you to wait; what you say of the spot does not.") + " " + detail
    return Advice(kind=Decision.SOON.value, title=_("Have a doctor look at it soon"), detail=detail)


def photograph_by(photo: Photo, assessed: Assessment) -> date | None:
    """The day until which to photograph the spot again, counted from the upload and not from the analysis."""
    if assessed.monitor_days is None:
        return None
    return timezone.localdate(photo.created) + timedelta(days=assessed.monitor_days)


def reasons_of(assessed: Assessment) -> tuple[Reason, ...]:
    """Why the picture was refused, in the order of the gates. Empty if it was not."""
    return tuple(
        GATE_REASONS[result.code] for result in assessed.gates if result.gate in REFUSING and not result.passed
    )


def _see_a_doctor(assessment: PhotoAssessment, *, urgent: bool) -> Advice:
    diagnosis = Diagnosis(assessment.diagnosis)
    title = _("See a doctor within days") if urgent else _("Have a doctor look at it soon")
    if raised_by_metadata(assessment) and urgent:
        detail = _(
            "The picture together with what you told strongly resembles skin cancers; the picture alone does so less. "
            "Neither proves anything, but have a doctor look at the spot within days, and in any case within two weeks."
        )
    elif raised_by_metadata(assessment):
        detail = _(
            "The picture alone would allow you to wait; together with what you told it does not. A doctor should look "
            "at the spot within the next weeks. This proves nothing; please make an appointment."
        )
    elif urgent:
        detail = _(
            "The picture strongly resembles skin cancers. A picture proves nothing, but have a doctor look at the spot "
            "within days, and in any case within two weeks."
        )
    elif diagnosis.precursor:
        detail = _(
            "What the picture most resembles is no cancer but can become one, and is usually treated: a doctor should "
            "look at the spot within the next weeks. A picture proves nothing; please make an appointment."
        )
    else:
        detail = _(
            "The picture resembles skin cancers closely enough that a doctor should look at the spot within the next "
            "weeks. A picture proves nothing; please make an appointment."
        )
    if not _needs_a_doctor(diagnosis):
        # Otherwise the harmless diagnosis below would seem to contradict the advice.
        detail += " " + _("This holds although the most likely diagnosis is harmless.")
    return Advice(kind=(Decision.URGENT if urgent else Decision.SOON).value, title=title, detail=detail)


def raised_by_metadata(assessment: PhotoAssessment) -> bool:
    """Whether what was told makes the advice more urgent than by the picture alone."""
    alone, now = assessment.picture_decision, assessment.decision
    # Assessments from before there was an advice by the picture alone have none.
    return bool(alone) and rises(alone, now)


def _monitor(photo: Photo, assessment: PhotoAssessment, assessed: Assessment) -> Advice:
    day = photograph_by(photo, assessed)
    assert day is not None  # an Assessment with MONITOR always has days
    is_due = day < timezone.localdate()
    title = _("Time to photograph it again") if is_due else _("Photograph it again by %(day)s")
    detail = _(
        "The picture stays below the level at which Teri sends people to a doctor. That is no all-clear: it misses "
        "some cancers. Take the new photo from the same distance, so that you can compare the two."
    )
    if assessment.picture_decision == Decision.SOON:
        detail = _(
            "The picture alone would have sent you to a doctor; together with what you told it stays below that level. "
            "That is no all-clear: Teri misses some cancers. If you are not sure of an answer, see a doctor. Else take "
            "the new photo from the same distance, so that you can compare the two."
        )
    diagnosis = Diagnosis(assessment.diagnosis)
    if _needs_a_doctor(diagnosis):
        # The threshold is about all cancers together. A diagnosis like this one is a sufficient reason by itself.
        detail += " " + _(
            "The most likely diagnosis should be seen by a doctor all the same: please make an appointment."
        )
    return Advice(
        kind=assessed.decision.value,
        title=title % {"day": date_format(day)},
        detail=detail,
        photograph_by=day,
        is_due=is_due,
    )


def joint_advice(*, urgent: bool) -> Advice:
    """The advice for a spot whose photos of one day together are graver than the newest alone."""
    if urgent:
        return Advice(
            kind=Decision.URGENT.value,
            title=_("See a doctor within days"),
            detail=_(
                "The photos of one day together strongly resemble skin cancers; the newest alone does so less. "
                "Pictures prove nothing, but have a doctor look at the spot within days, and in any case "
                "within two weeks."
            ),
        )
    return Advice(
        kind=Decision.SOON.value,
        title=_("Have a doctor look at it soon"),
        detail=_(
            "The photos of one day together resemble skin cancers closely enough that a doctor should look at the spot "
            "within the next weeks, although the newest alone does not. Pictures prove nothing; please make an "
            "appointment."
        ),
    )


def _without_decision(assessment: PhotoAssessment) -> Advice:
    diagnosis = Diagnosis(assessment.diagnosis)
    see = _("Have a doctor look at it soon")
    if diagnosis.malignant:
        detail = _(
            "What it most resembles is a kind of skin cancer. A picture proves nothing; please have it looked at."
        )
    elif diagnosis.precursor:
        detail = _(
            "What it most resembles should be seen and usually treated by a doctor. A picture proves nothing; please "
            "make an appointment."
        )
    elif assessment.is_suspicious:
        detail = _(
            "The top diagnosis is harmless, but the picture also resembles skin cancers closely enough that a doctor "
            "should look at the spot."
        )
    else:
        detail = _("This is no all-clear. Look at the spot from time to time and photograph it again to compare.")
        return Advice(kind=WATCH, title=_("Keep an eye on it"), detail=detail)
    return Advice(kind=SEE, title=see, detail=detail)


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or the last day of a shorter month: 30 November, 3 -> 28 February."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
