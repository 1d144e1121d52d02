"""What an answer rests on beside the pixels: how the picture was taken, what was told, and for whom the shares hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnoses.photos.models import PhotoAssessment
from recognition.inference.assessor import malignant_score
from recognition.inference.case_mix import BALANCED, HAM10000, CaseMix
from recognition.inference.metadata import ANSWERS
from recognition.taxonomy import CODES, IMAGE_TYPES, Diagnosis

FIELD_NAMES: Final[Mapping[str, str | Promise]] = {
    "age_approx": gettext_lazy("age"),
    "sex": gettext_lazy("sex"),
    "anatom_site_general": gettext_lazy("place on the body"),
    **dict.fromkeys(ANSWERS, gettext_lazy("answers about the spot")),
}
"""The names of the metadata that can count. The six answers have one name together."""


@dataclass(frozen=True)
class ImageTypeBasis:
    """The kind as which a picture was assessed. `source` says how it is known; "assumed" if it is not.

    `looks_like` is the other kind if the picture contradicts the told one, else "".
    """

    image_type: str
    source: str
    looks_like: str = ""


@dataclass(frozen=True)
class ToldBasis:
    """What was told and counted, and the answer by the picture alone, for comparison.

    `cancers` and `cancers_alone` are the sums over the cancers, with and without what was told; shares are 0 to 1.
    """

    names: tuple[str | Promise, ...]
    diagnosis_alone: Diagnosis
    confidence_alone: float
    cancers: float
    cancers_alone: float


def image_type_basis(assessment: PhotoAssessment) -> ImageTypeBasis | None:
    """The kind of picture, or None for an assessment from before there were kinds."""
    if not assessment.image_type:
        return None
    other = next(each for each in IMAGE_TYPES if each != assessment.image_type)
    return ImageTypeBasis(assessment.image_type, assessment.image_type_source, other if assessment.contradicted else "")


def told_basis(assessment: PhotoAssessment) -> ToldBasis | None:
    """What was told and counted, or None if only the picture did."""
    alone = assessment.picture_alone
    if not assessment.used or alone is None:
        return None
    top = most_likely(alone)
    return ToldBasis(
        names=tuple(dict.fromkeys(FIELD_NAMES[name] for name in assessment.used if name in FIELD_NAMES)),
        diagnosis_alone=top,
        confidence_alone=alone[top.position],
        cancers=malignant_score(assessment.probabilities),
        cancers_alone=malignant_score(alone),
    )


def most_likely(probabilities: Sequence[float]) -> Diagnosis:
    """The diagnosis with the largest of the eight probabilities."""
    return Diagnosis(CODES[max(range(len(CODES)), key=probabilities.__getitem__)])


def case_mix_words(case_mix: Mapping[str, Any] | None) -> str:
    """For whom the percentages hold, in plain words. Assessments without a case mix are balanced ones."""
    mix = CaseMix.from_json(case_mix) if case_mix else BALANCED
    if mix.is_like(HAM10000):
        return _(
            "The percentages are for people as they come to a clinic to have their moles looked at, not for everybody: "
            "among the spots that people photograph at home there are fewer cancers."
        )
    if mix.is_like(BALANCED):
        return _(
            "The percentages compare the eight diagnoses as if all were equally frequent. Cancers are rarer than that, "
            "so the percentages say what the picture resembles and not how likely it is."
        )
    words = _("The percentages are for the mix of diagnoses that this site has stated (%(name)s), not for everybody.")
    return words % {"name": mix.name}
