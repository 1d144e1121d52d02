"""The joint answer for a lesion: what several photos of one day say together.

Each photo keeps its answer. The joint one may raise the advice for the lesion and never lowers it: photos of one spot
are not independent, and nobody waits because a second photo looked harmless.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Final
from uuid import UUID

from django.db.models import Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from diagnoses.lesions.models import Lesion
from diagnoses.photos.assessments import assessor_of, known_of
from diagnoses.photos.case_mix import stated_case_mix
from diagnoses.photos.models import Photo
from diagnoses.photos.rejudging import rises
from diagnoses.results.basis import most_likely
from recognition.inference.assessor import malignant_score
from recognition.inference.bundle import BundleError
from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import Metadata
from recognition.inference.outputs import PictureOutputs
from recognition.taxonomy import CODES

PHOTOS_MAX: Final = 8
"""The number of newest photos of each lesion that are looked at."""


@dataclass(frozen=True)
class JointAnswer:
    """What photos of one lesion say together.

    - `probabilities`: eight, in ISIC order, at `case_mix`; `malignant_score`: that by which the advice goes;
    - `decision`: the advice, a `Decision` value; never "not_assessed", because photos that a gate refuses do not count;
    - `photos`: the keys of the photos of that day that were asked, newest first; `pictures` of them passed the gates;
    - `is_newest`: whether the newest photo of the lesion is among them, so that the advice is about its present state.
    """

    probabilities: tuple[float, ...]
    case_mix: CaseMix
    malignant_score: float
    decision: str
    photos: tuple[UUID, ...]
    pictures: int
    date: date
    is_newest: bool

    @property
    def by_code(self) -> dict[str, float]:
        """All eight probabilities in ISIC order."""
        return dict(zip(CODES, self.probabilities, strict=True))

    @property
    def diagnosis(self) -> str:
        """The code of the most probable diagnosis."""
        return most_likely(self.probabilities).value

    @property
    def cancers(self) -> float:
        """The probabilities of the cancers together, 0 to 1."""
        return malignant_score(self.probabilities)

    @property
    def confidence(self) -> float:
        """The probability of the most probable diagnosis, 0 to 1."""
        return max(self.probabilities)

    def raises(self, decision: str) -> bool:
        """Whether it raises this advice, that of the lesion's newest photo."""
        return self.is_newest and rises(decision, self.decision)


def joint_answer(lesion: Lesion) -> JointAnswer | None:
    """The joint answer for a lesion: of the newest day on which one classifier assessed at least two photos of it.

    None if there is no such day, if fewer than two of these photos passed the gates, or without stored measurements.
    One query.
    """
    return joint_answers([lesion]).get(lesion.pk)


def joint_answers(lesions: Collection[Lesion]) -> dict[UUID, JointAnswer]:
    """The joint answers of several lesions, by key; see `joint_answer`. One query for all."""
    newest = Window(RowNumber(), partition_by="lesion_id", order_by=["-created", "-pk"])
    rows = (
        Photo.objects.filter(lesion__in=lesions)
        .annotate(number=newest)
        .filter(number__lte=PHOTOS_MAX)
        .select_related("history", "assessment__prediction__classifier")
        .defer("content_hash", "assessment__prediction__classifier__manifest")
        .order_by("lesion_id", "-created", "-pk")
    )
    of_lesion: dict[UUID, list[Photo]] = {}
    for photo in rows:
        assert photo.lesion_id is not None
        of_lesion.setdefault(photo.lesion_id, []).append(photo)
    answers = {key: _joint(photos) for key, photos in of_lesion.items()}
    return {key: answer for key, answer in answers.items() if answer is not None}


def _joint(photos: list[Photo]) -> JointAnswer | None:
    """The joint answer of photos of one lesion, newest first."""
    days: dict[tuple[date, int], list[Photo]] = {}
    for photo in photos:
        prediction = photo.prediction
        if photo.status == Photo.Status.PREDICTED and prediction is not None and prediction.outputs is not None:
            days.setdefault((timezone.localdate(photo.created), prediction.classifier_id), []).append(photo)
    for (day, _classifier), chosen in days.items():
        if len(chosen) > 1:
            return _answer(chosen, day, is_newest=photos[0] in chosen)
    return None


def _answer(photos: list[Photo], day: date, *, is_newest: bool) -> JointAnswer | None:
    prediction = photos[0].prediction
    assert prediction is not None
    try:
        assessor = assessor_of(prediction.classifier)
    except BundleError:
        return None
    case_mix = assessor.served_mix(stated_case_mix())
    measured = [
        (PictureOutputs.from_json(photo.prediction.outputs), photo.image_type)
        for photo in photos
        if photo.prediction is not None and photo.prediction.outputs is not None
    ]
    said = assessor.assess_lesion(measured, metadata=_known(photos), case_mix=case_mix)
    if said is None:
        return None
    return JointAnswer(
        probabilities=tuple(float(each) for each in said.probabilities),
        case_mix=case_mix,
        malignant_score=said.malignant_score,
        decision=said.decision.value,
        photos=tuple(photo.pk for photo in photos),
        pictures=said.pictures,
        date=day,
        is_newest=is_newest,
    )


def _known(photos: Iterable[Photo]) -> Metadata:
    """What is known of patient and spot with any of these photos, newest first: the newest answer to each question."""
    known = Metadata()
    for photo in photos:
        later = known_of(photo)
        missing = {
            each.name: getattr(later, each.name) for each in fields(known) if getattr(known, each.name) in (None, "")
        }
        known = replace(known, **missing)
    return known
