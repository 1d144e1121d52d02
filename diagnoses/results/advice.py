"""The advice to the patient that follows from a prediction: its text and date, or why the picture was refused.

The decision was made by the classifier and is stored with the prediction. This module only gives it words.
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
from recognition.inference.assessment import REFUSING, Assessment, Decision
from recognition.taxonomy import Diagnosis

# Kinds of advice for older predictions without a decision.
SEE: Final = "see"
WATCH: Final = "watch"


@dataclass(frozen=True)
class Advice:
    """The text of what to do next.

    `kind` is a `Decision` value, or "see" or "watch" for a prediction without one. Only MONITOR has `photograph_by`;
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
    def is_strong(self) -> bool:
        """Whether a doctor should look because of the picture."""
        return self.kind in {Decision.URGENT, Decision.SOON, SEE}


def advice_on(photo: Photo, assessment: PhotoAssessment) -> Advice:
    """The advice for this assessment of this photo."""
    assessed = assessment.assessed
    advice = _without_decision(assessment) if assessed is None else _by_decision(photo, assessment, assessed)
    history = photo.reported_history
    if history is not None and history.needs_a_doctor and not advice.is_strong:
        advice = _by_history(advice)
    known = photo.ground_truth
    if known is None or advice.is_strong or not _needs_a_doctor(Diagnosis(known.diagnosis)):
        return advice
    # The ground truth counts more than the prediction: nobody waits three months with a known cancer.
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
        return Advice(
            kind=assessed.decision.value,
            title=_("This photo could not be assessed"),
            detail=_("So there is no answer, neither good nor bad. Please take another photo."),
            reasons=reasons_of(assessed),
        )
    return _monitor(photo, assessment, assessed)


def _by_history(advice: Advice) -> Advice:
    """The advice if the reported history, not the picture, needs a doctor."""
    if advice.is_refusal:
        # The picture still has no answer, so ask for another photo too. The appointment does not wait for it.
        return replace(
            advice,
            detail=_(
                "So there is no answer, neither good nor bad. But what you say of the spot is reason enough to have a "
                "doctor look at it within the next weeks. You may take another photo as well."
            ),
        )
    return Advice(
        kind=Decision.SOON.value,
        title=_("Have a doctor look at it soon"),
        detail=_(
            "The picture alone would allow you to wait; what you say of the spot does not. A spot that is raised or "
            "changing, or has several of the signs you were asked about, should be seen by a doctor within the next "
            "weeks, whatever a picture shows. Please make an appointment."
        ),
    )


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
    if urgent:
        title = _("See a doctor within days")
        detail = _(
            "The picture strongly resembles skin cancers. A picture proves nothing, but have a doctor look at the spot "
            "within days, and in any case within two weeks."
        )
    elif diagnosis.precursor:
        title = _("Have a doctor look at it soon")
        detail = _(
            "What the picture most resembles is no cancer but can become one, and is usually treated: a doctor should "
            "look at the spot within the next weeks. A picture proves nothing; please make an appointment."
        )
    else:
        title = _("Have a doctor look at it soon")
        detail = _(
            "The picture resembles skin cancers closely enough that a doctor should look at the spot within the next "
            "weeks. A picture proves nothing; please make an appointment."
        )
    if not _needs_a_doctor(diagnosis):
        # Otherwise the harmless diagnosis below would seem to contradict the advice.
        detail += " " + _("This holds although what it most resembles is harmless.")
    return Advice(kind=(Decision.URGENT if urgent else Decision.SOON).value, title=title, detail=detail)


def _monitor(photo: Photo, assessment: PhotoAssessment, assessed: Assessment) -> Advice:
    day = photograph_by(photo, assessed)
    assert day is not None  # an Assessment with MONITOR always has days
    is_due = day < timezone.localdate()
    title = _("Time to photograph it again") if is_due else _("Photograph it again by %(day)s")
    detail = _(
        "The picture stays below the level at which Teri sends people to a doctor. That is no all-clear: it misses "
        "some cancers. Take the new photo from the same distance, so that you can compare the two."
    )
    diagnosis = Diagnosis(assessment.diagnosis)
    if _needs_a_doctor(diagnosis):
        # The threshold is about all cancers together. A diagnosis like this one is a sufficient reason by itself.
        detail += " " + _("What it most resembles should be seen by a doctor all the same: please make an appointment.")
    return Advice(
        kind=assessed.decision.value,
        title=title % {"day": date_format(day)},
        detail=detail,
        photograph_by=day,
        is_due=is_due,
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
