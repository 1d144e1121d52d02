"""The rules of reading: who reads next, when a second reading is needed, when a photo is settled.

Plain functions of plain values, without database queries.

    unread --first--> read                      no second reading is needed, or there is no second reader
    unread --first--> second --second--> read   both agree
                      second --second--> adjudication --adjudication--> read
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from diagnoses.photos.models import Photo
from diagnoses.readings.models import Reading
from recognition.taxonomy import MALIGNANT

MALIGNANT_RULE: Final = "malignant"
DISAGREEMENT_RULE: Final = "disagreement"
RULES: Final = (MALIGNANT_RULE, DISAGREEMENT_RULE)
"""The allowed values of the setting SECOND_READING_RULES: a second reading is needed if the first one is a cancer, or
if it differs from the classifier."""

OVERRIDE_REASON_MAX: Final = 500
"""Characters; the limit of `Reading.override_reason`."""


@dataclass(frozen=True)
class Said:
    """An answer: one of `Reading.Answer`, and for DIAGNOSIS the diagnosis."""

    answer: str
    diagnosis: str = ""

    @property
    def is_cancer(self) -> bool:
        """Whether the diagnosis is a cancer."""
        return self.diagnosis in MALIGNANT


def role_in(state: str) -> str:
    """The role of the next reader of a photo in this state; "" if it waits for nobody."""
    return {
        Photo.ReviewState.UNREAD.value: Reading.Role.FIRST.value,
        Photo.ReviewState.SECOND.value: Reading.Role.SECOND.value,
        Photo.ReviewState.ADJUDICATION.value: Reading.Role.ADJUDICATION.value,
    }.get(state, "")


def reason_for_second(said: Said, *, predicted: str, requested: bool, rules: Collection[str]) -> str:
    """Why this first reading needs a second one (`Photo.SecondReason`), or "".

    `predicted` is the classifier's answer, "" if there is none or a gate refused the picture. Of several reasons the
    most serious is returned.
    """
    if said.is_cancer and MALIGNANT_RULE in rules:
        return Photo.SecondReason.MALIGNANT.value
    if requested:
        return Photo.SecondReason.REQUESTED.value
    if said.diagnosis and predicted and said.diagnosis != predicted and DISAGREEMENT_RULE in rules:
        return Photo.SecondReason.DISAGREEMENT.value
    return ""


def next_state(role: str, said: Said, *, first: Said | None, second_wanted: bool, somebody_else: bool) -> str:
    """The review state of a photo after this final answer in this role.

    `first` is the first reader's answer, None for a first reading. A photo does not wait for a second reading that
    nobody can give. After a disagreement it always waits for an adjudicator.
    """
    if role == Reading.Role.FIRST:
        waits = second_wanted and somebody_else
        return Photo.ReviewState.SECOND.value if waits else Photo.ReviewState.READ.value
    if role == Reading.Role.SECOND and said != first:
        return Photo.ReviewState.ADJUDICATION.value
    return Photo.ReviewState.READ.value


def needs_a_reason(said: Said, *, predicted: str) -> bool:
    """Whether a final answer overrides the classifier's and needs a reason."""
    return bool(said.diagnosis and predicted and said.diagnosis != predicted)


def answer_of(assessment: object) -> str:
    """The top diagnosis of a revealed assessment, or "" if there is none or a gate refused the picture.

    Accepts None or any object with `diagnosis` and `is_refused`.
    """
    if assessment is None or getattr(assessment, "is_refused", True):
        return ""
    return str(getattr(assessment, "diagnosis", ""))
