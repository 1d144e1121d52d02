"""Own the rules of reading: whose turn it is, when a second reader is wanted, when a photo is settled.

Plain functions of plain values; nothing here asks the database.

    unread --first--> read                      nothing asks for a second reader, or there is nobody to be one
    unread --first--> second --second--> read   the two say the same
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
"""What may stand in the setting SECOND_READING_RULES: a second reader is wanted of a cancer, and of a first reader who
says otherwise than the classifier."""

OVERRIDE_REASON_MAX: Final = 500
"""Characters; as in `Reading.override_reason`."""


@dataclass(frozen=True)
class Said:
    """What somebody says of a spot: one of `Reading.Answer`, and with DIAGNOSIS which."""

    answer: str
    diagnosis: str = ""

    @property
    def is_cancer(self) -> bool:
        """Whether it is a cancer by name."""
        return self.diagnosis in MALIGNANT


def role_in(state: str) -> str:
    """The role of whoever reads a photo in this state next; "" where nobody is waited for."""
    return {
        Photo.ReviewState.UNREAD.value: Reading.Role.FIRST.value,
        Photo.ReviewState.SECOND.value: Reading.Role.SECOND.value,
        Photo.ReviewState.ADJUDICATION.value: Reading.Role.ADJUDICATION.value,
    }.get(state, "")


def reason_for_second(said: Said, *, predicted: str, requested: bool, rules: Collection[str]) -> str:
    """Why a second reading of this first one is wanted (`Photo.SecondReason`), or "".

    `predicted` is the classifier's answer, "" where it gave none or a gate refused the picture. Of several reasons the
    gravest is given.
    """
    if said.is_cancer and MALIGNANT_RULE in rules:
        return Photo.SecondReason.MALIGNANT.value
    if requested:
        return Photo.SecondReason.REQUESTED.value
    if said.diagnosis and predicted and said.diagnosis != predicted and DISAGREEMENT_RULE in rules:
        return Photo.SecondReason.DISAGREEMENT.value
    return ""


def next_state(role: str, said: Said, *, first: Said | None, second_wanted: bool, somebody_else: bool) -> str:
    """Where a photo stands after this final answer in this role.

    `first` is what the first reader said, None for a first reading. A second reading that nobody could give is not
    waited for; a disagreement always is, since two answers are no answer.
    """
    if role == Reading.Role.FIRST:
        waits = second_wanted and somebody_else
        return Photo.ReviewState.SECOND.value if waits else Photo.ReviewState.READ.value
    if role == Reading.Role.SECOND and said != first:
        return Photo.ReviewState.ADJUDICATION.value
    return Photo.ReviewState.READ.value


def needs_a_reason(said: Said, *, predicted: str) -> bool:
    """Whether a final answer overrides the classifier's and must say why."""
    return bool(said.diagnosis and predicted and said.diagnosis != predicted)


def answer_of(prediction: object) -> str:
    """What a revealed prediction counts as: its top diagnosis, or "" where there is none or a gate refused the picture.

    Takes None or anything with `diagnosis` and `is_refused`.
    """
    if prediction is None or getattr(prediction, "is_refused", True):
        return ""
    return str(getattr(prediction, "diagnosis", ""))
