"""The clinical outcome of a photo, as its patient may see it: stage of the review, result, management.

Until a photo is settled the patient sees no diagnosis of a reading, because another reader may disagree. Only one thing
is shown at once: that a clinician wants the spot to be examined in person.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from diagnoses.photos.models import Photo
from diagnoses.readings.models import Finding, Reading
from diagnoses.readings.outcome import outcome_of, wants_a_visit
from diagnoses.results.advice import WATCH, Advice, months_later
from recognition.inference.assessment import Decision
from recognition.taxonomy import Diagnosis

Management = Reading.Management

MANAGEMENT_WORDS: Final[dict[str, str | Promise]] = {
    Management.BIOPSY: gettext_lazy("A biopsy: the spot or a piece of it is taken out and examined."),
    Management.REFER: gettext_lazy("A doctor should examine the spot in person."),
    Management.MONITOR: gettext_lazy("The spot should be photographed again, to compare."),
    Management.DISCHARGE: gettext_lazy("Nothing further is needed now."),
}


class ReviewStage(enum.StrEnum):
    """The stage of the review by clinicians."""

    NOT_ASKED = "not-asked"
    ASKED = "asked"
    SECOND = "second"
    ADJUDICATION = "adjudication"
    READ = "read"


@dataclass(frozen=True)
class ClinicalOutcome:
    """The readings and findings of one photo, as far as the patient may see them.

    `examine` says that a clinician wants to see the spot in person; it may be shown at every stage. `answer` (a
    `Reading.Answer`), `management`, `monitor_months` and `notes` are empty until the photo is settled. `finding` is the
    decisive one: the newest histopathology, else the newest clinician's.
    """

    stage: ReviewStage
    asked: datetime | None = None
    closed: datetime | None = None
    examine: bool = False
    finding: Finding | None = None
    answer: str = ""
    management: str = ""
    monitor_months: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_read(self) -> bool:
        """Whether the photo is settled."""
        return self.stage is ReviewStage.READ

    @property
    def is_under_way(self) -> bool:
        """Whether a clinician has read the photo and it waits for another one."""
        return self.stage in {ReviewStage.SECOND, ReviewStage.ADJUDICATION}

    @property
    def is_proven(self) -> bool:
        """Whether the spot was examined under the microscope."""
        return self.finding is not None and self.finding.source == Finding.Source.HISTOPATHOLOGY


def clinical_outcome_of(photo: Photo) -> ClinicalOutcome:
    """The clinical outcome of this photo. Uses `photo.readings` and `photo.findings`, which lists prefetch."""
    finding = photo.deciding_finding()
    stage = _stage(photo, finding)
    if stage is not ReviewStage.READ:
        return ClinicalOutcome(stage, asked=photo.review_requested, examine=wants_a_visit(photo))
    outcome = outcome_of(photo)
    # After a histopathology the management of earlier readings is no longer shown: it has been done.
    proven = finding is not None and finding.source == Finding.Source.HISTOPATHOLOGY
    said = list(outcome.notes) if outcome is not None else []
    if finding is not None:
        said.append(finding.note)
    # A finding without a reading also has a diagnosis.
    answer = "" if finding is None else Reading.Answer.DIAGNOSIS.value
    return ClinicalOutcome(
        stage,
        asked=photo.review_requested,
        closed=photo.review_closed or (finding.created if finding is not None else None),
        examine=not proven and wants_a_visit(photo),
        finding=finding,
        answer=answer if outcome is None else outcome.answer,
        management="" if outcome is None or proven else outcome.management,
        monitor_months=None if outcome is None or proven else outcome.monitor_months,
        # The finding of a reading has the same note as the reading. Show it once.
        notes=tuple(dict.fromkeys(note.strip() for note in said if note.strip())),
    )


def _stage(photo: Photo, finding: Finding | None) -> ReviewStage:
    if photo.review_state == Photo.ReviewState.READ or finding is not None:
        return ReviewStage.READ
    if photo.review_state == Photo.ReviewState.SECOND:
        return ReviewStage.SECOND
    if photo.review_state == Photo.ReviewState.ADJUDICATION:
        return ReviewStage.ADJUDICATION
    return ReviewStage.NOT_ASKED if photo.review_requested is None else ReviewStage.ASKED


def advice_of(outcome: ClinicalOutcome) -> Advice | None:
    """The clinicians' advice, or None if they gave none.

    Also None if the spot is known to be a cancer, whatever the management was before. `diagnoses.results.advice` has
    the text for that.
    """
    known = Diagnosis(outcome.finding.diagnosis) if outcome.finding is not None else None
    if outcome.is_proven and known is not None:
        return None if known.malignant or known.precursor else _proven_harmless()
    if outcome.examine:
        return _in_person(outcome)
    if outcome.management not in {Management.MONITOR, Management.DISCHARGE}:
        return None
    if known is not None and known.malignant:
        return None
    if outcome.management == Management.DISCHARGE:
        return Advice(
            kind=WATCH,
            title=_("A clinician sees no need for anything further now"),
            detail=_(
                "A clinician has looked at this photo. Keep an eye on the spot as you do on the rest of your skin."
            ),
        )
    return _photograph_again(outcome)


def _proven_harmless() -> Advice:
    return Advice(
        kind=WATCH,
        title=_("This spot has been examined under the microscope"),
        detail=_(
            "It was found to be harmless, whatever the picture looks like to the computer. What your doctor told you "
            "about it counts more than this page."
        ),
    )


def _in_person(outcome: ClinicalOutcome) -> Advice:
    if outcome.management == Management.BIOPSY:
        return Advice(
            kind=Decision.SOON.value,
            title=_("A clinician recommends a biopsy of this spot"),
            detail=_(
                "In a biopsy the spot or a piece of it is taken out, so that it can be examined under the microscope. "
                "Please make an appointment with a doctor soon, and take the report with you."
            ),
        )
    detail = _("Please make an appointment with a doctor soon, and take the report with you.")
    if not outcome.is_read:
        detail = _(
            "Please make an appointment with a doctor soon, and take the report with you. You need not wait until all "
            "clinicians have read your photo."
        )
    return Advice(
        kind=Decision.SOON.value, title=_("A clinician wants this spot to be examined in person"), detail=detail
    )


def _photograph_again(outcome: ClinicalOutcome) -> Advice | None:
    if outcome.monitor_months is None or outcome.closed is None:
        return None
    day = months_later(timezone.localdate(outcome.closed), outcome.monitor_months)
    is_due = day < timezone.localdate()
    title = _("Time to photograph it again") if is_due else _("Photograph it again by %(day)s")
    return Advice(
        kind=Decision.MONITOR.value,
        title=title % {"day": date_format(day, "DATE_FORMAT")},
        detail=_(
            "A clinician has looked at this photo and wants to compare it with a new one. Take it from the same "
            "distance and in similar light."
        ),
        photograph_by=day,
        is_due=is_due,
    )


def answer_words(answer: str) -> str:
    """The text of an answer without a diagnosis."""
    if answer == Reading.Answer.UNUSABLE:
        return _("A clinician has looked at the photo and cannot use it. Please take another one.")
    if answer == Reading.Answer.CANNOT_SAY:
        return _("A clinician has looked at the photo and cannot say from it what the spot is.")
    return ""


def management_words(outcome: ClinicalOutcome) -> str:
    """The text of the management, with the interval if there is one."""
    if outcome.monitor_months is not None:
        return ngettext(
            "The spot should be photographed again after %(count)d month, to compare.",
            "The spot should be photographed again after %(count)d months, to compare.",
            outcome.monitor_months,
        ) % {"count": outcome.monitor_months}
    return str(MANAGEMENT_WORDS.get(outcome.management, ""))
