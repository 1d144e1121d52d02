"""Measures drift of the live classifier from the database.

There are four comparisons, each for one kind of picture. Each uses a limited number of newest answers, so that its cost
does not grow:

- the live classifier since its promotion against the previous classifier;
- the live classifier recently against itself earlier: finds other pictures or another camera;
- the live classifier against its answers to the pictures on which it was calibrated: its percentages hold for those;
- how often the clinicians' final diagnosis equals the answer, now and with the previous classifier.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from numpy.typing import NDArray

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.answers import SealedAnswers, picture_answers, sealed_references
from diagnoses.monitoring.drift import statistics
from diagnoses.photos.models import PhotoAssessment
from diagnoses.readings.models import Reading
from recognition.evaluation.agreement import LabelPair, Share, agreed, counted_lesions
from recognition.inference.assessor import malignant_score
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES

ANSWERS_MAX: Final = 2000
"""The largest number of answers of a side: enough to know shares to two per cent."""

ANSWERS_MIN: Final = 100
"""The smallest number of answers of a side for a comparison of ten bins."""

READINGS_MIN: Final = 30
"""The smallest number of readings of a side. With fewer, the interval is wider than a third."""

LATELY: Final = timedelta(days=30)
"""The length of the recent period: long enough for a small practice, short enough to notice a new camera."""

BINS: Final = 10
"""Bins of the malignant score."""

INDEX_LARGE: Final = 0.25
"""The stability index above which a shift counts as large (Siddiqi 2006)."""

VARIATION_LARGE: Final = 0.2
"""The total variation above which a class mix counts as changed: one fifth of all answers."""


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """The answers of one side: their number, counts by bin of the malignant score and by top diagnosis (ISIC order)."""

    count: int
    scores: tuple[int, ...]
    mix: tuple[int, ...]


NONE: Final = AnswerCounts(0, (0,) * BINS, (0,) * len(CODES))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides and their distance. The figures are meaningful only if `is_enough`."""

    before: AnswerCounts
    after: AnswerCounts

    @property
    def is_enough(self) -> bool:
        """Whether both sides have enough answers to compare."""
        return min(self.before.count, self.after.count) >= ANSWERS_MIN

    @property
    def index(self) -> float:
        """The stability index of the malignant score."""
        return statistics.stability_index(self.before.scores, self.after.scores)

    @property
    def index_by_chance(self) -> float:
        """The limit that the index exceeds by chance once in a thousand times."""
        return statistics.stability_by_chance(self.before.scores, self.after.scores)

    @property
    def variation(self) -> float:
        """The total variation distance of the class mixes, 0 to 1."""
        return statistics.total_variation(self.before.mix, self.after.mix)

    @property
    def have_scores_moved(self) -> bool:
        """Far and not by chance."""
        return self.is_enough and self.index >= max(INDEX_LARGE, self.index_by_chance)

    @property
    def has_mix_moved(self) -> bool:
        """Far and not by chance."""
        by_chance = statistics.is_by_chance(self.before.mix, self.after.mix)
        return self.is_enough and self.variation >= VARIATION_LARGE and not by_chance

    @property
    def has_moved(self) -> bool:
        """Whether the scores or the class mix have shifted."""
        return self.have_scores_moved or self.has_mix_moved


@dataclass(frozen=True, slots=True)
class Readings:
    """How often the clinicians' final diagnosis was the top diagnosis of the answer, on each side."""

    before: Share | None
    after: Share | None

    @property
    def is_enough(self) -> bool:
        """Whether both sides have enough readings to compare."""
        return self.difference is not None

    @property
    def difference(self) -> tuple[float, float] | None:
        """The 95 % interval of after minus before. None if there are too few readings."""
        if self.before is None or self.after is None or min(self.before.of, self.after.of) < READINGS_MIN:
            return None
        return statistics.difference(self.before, self.after)

    @property
    def has_fallen(self) -> bool:
        """Whether the whole interval of the difference is below zero."""
        return self.difference is not None and self.difference[1] < 0


@dataclass(frozen=True, slots=True)
class KindDrift:
    """The comparisons for one kind of picture; never mixed with another kind.

    `promotion` and `readings` are None without a previous classifier, `sealed` without a sealed reference.
    """

    image_type: str
    promotion: Comparison | None
    lately: Comparison
    sealed: Comparison | None
    readings: Readings | None

    @property
    def has_moved_since_promotion(self) -> bool:
        return self.promotion is not None and self.promotion.has_moved

    @property
    def has_moved_since_sealing(self) -> bool:
        return self.sealed is not None and self.sealed.has_moved

    @property
    def has_agreement_fallen(self) -> bool:
        return self.readings is not None and self.readings.has_fallen

    @property
    def is_unknown(self) -> bool:
        """Whether no comparison has enough data."""
        comparisons = (self.promotion, self.lately, self.sealed, self.readings)
        return not any(comparison is not None and comparison.is_enough for comparison in comparisons)


@dataclass(frozen=True, slots=True)
class Drift:
    """All comparisons of the live classifier: for each kind of picture that it knows or was sent."""

    classifier: Classifier
    before: Classifier | None
    kinds: tuple[KindDrift, ...]

    @property
    def has_moved_since_promotion(self) -> bool:
        return any(kind.has_moved_since_promotion for kind in self.kinds)

    @property
    def has_moved_since_sealing(self) -> bool:
        return any(kind.has_moved_since_sealing for kind in self.kinds)

    @property
    def has_moved_lately(self) -> bool:
        return any(kind.lately.has_moved for kind in self.kinds)

    @property
    def has_agreement_fallen(self) -> bool:
        return any(kind.has_agreement_fallen for kind in self.kinds)

    @property
    def is_unknown(self) -> bool:
        """Whether no comparison has enough data."""
        return all(kind.is_unknown for kind in self.kinds)

    @property
    def is_quiet(self) -> bool:
        """Whether there was enough data to compare and nothing has shifted."""
        moved = self.has_moved_since_promotion or self.has_moved_since_sealing or self.has_moved_lately
        return not moved and not self.has_agreement_fallen and not self.is_unknown


def measure_drift(classifier: Classifier) -> Drift:
    """Compare the answers of the live `classifier` with those of its predecessor, with its own earlier ones, and with
    those to the pictures on which it was calibrated.

    A constant number of queries of limited size. Raises ValueError if the classifier is not live.
    """
    if classifier.promoted is None or classifier.stage != Classifier.Stage.LIVE:
        raise ValueError("Only the live classifier drifts.")
    promoted = classifier.promoted
    earlier = Classifier.objects.filter(promoted__lt=promoted).exclude(pk=classifier.pk)
    before = earlier.order_by("-promoted").first()
    # Only answers since the last promotion: a classifier that was rolled back to has earlier answers too.
    own = PhotoAssessment.objects.filter(prediction__classifier=classifier, created__gte=promoted)
    border = timezone.now() - LATELY
    sides = {
        "all": _answers(own, classifier),
        "early": _answers(own.filter(created__lt=border), classifier),
        "late": _answers(own.filter(created__gte=border), classifier),
        "before": {}
        if before is None
        else _answers(PhotoAssessment.objects.filter(prediction__classifier=before, created__lt=promoted), before),
    }
    references = sealed_references(classifier)
    pictures = picture_answers(classifier, most=ANSWERS_MAX, looked_through=ANSWERS_MAX)
    theirs = {} if before is None else _agreement(before)
    ours = _agreement(classifier)
    known = [name for name in IMAGE_TYPES if name in references or any(name in side for side in sides.values())]
    return Drift(
        classifier,
        before,
        tuple(
            KindDrift(
                image_type=name,
                promotion=None
                if before is None
                else Comparison(sides["before"].get(name, NONE), sides["all"].get(name, NONE)),
                lately=Comparison(sides["early"].get(name, NONE), sides["late"].get(name, NONE)),
                sealed=_sealed(references.get(name, {}), pictures.get(name)),
                readings=None if before is None else Readings(theirs.get(name), ours.get(name)),
            )
            for name in known
        ),
    )


def _answers(rows: QuerySet[PhotoAssessment], classifier: Classifier) -> dict[str, AnswerCounts]:
    """The newest answers of `classifier` by kind of picture: one of each prediction, for the picture alone and for the
    sealed case mix. Else another CASE_MIX, or more people who answer the questions, would look like other pictures.
    """
    sealed = SealedAnswers(classifier)
    wanted = ("prediction_id", "image_type", "malignant_score", "diagnosis", "prediction__outputs")
    found: dict[str, dict[Any, tuple[float, str]]] = {}
    for prediction, image_type, score, diagnosis, outputs in rows.order_by("-created").values_list(*wanted)[
        :ANSWERS_MAX
    ]:
        kind = image_type or DERMOSCOPIC
        answer = sealed.of(outputs, kind)
        said = (score, diagnosis) if answer is None else _said(answer)
        found.setdefault(kind, {}).setdefault(prediction, said)
    return {name: _counted(list(answers.values())) for name, answers in found.items()}


def _said(answer: NDArray[np.float64]) -> tuple[float, str]:
    """The malignant score and the top diagnosis of probabilities (8,)."""
    return malignant_score(answer), CODES[int(answer.argmax())]


def _counted(answers: Sequence[tuple[float, str]]) -> AnswerCounts:
    mix = Counter(diagnosis for _score, diagnosis in answers)
    scores = statistics.histogram([score for score, _diagnosis in answers], BINS)
    return AnswerCounts(len(answers), tuple(scores), tuple(mix[code] for code in CODES))


def _sealed(reference: Mapping[str, Any], pictures: NDArray[np.float64] | None) -> Comparison | None:
    """The pictures of patients against those of the calibration split, both as the picture alone is answered.

    The sealed counts are of shares that are weighted to the case mix. Bundles from before it have no scores.
    """
    if not reference.get("pictures"):
        return None
    number = int(reference.get("effective_pictures", reference["pictures"]))
    sealed = AnswerCounts(
        number,
        tuple(round(share * number) for share in reference.get("scores", [0.0] * BINS)),
        tuple(round(reference["shares"].get(code, 0.0) * number) for code in CODES),
    )
    if pictures is None:
        return Comparison(sealed, NONE)
    return Comparison(sealed, _counted([_said(row) for row in pictures]))


def _agreement(classifier: Classifier) -> dict[str, Share | None]:
    """Agreement in the newest final readings with a diagnosis of photos that this classifier had assessed, by kind."""
    readings = Reading.objects.recorded().filter(
        assessment__prediction__classifier=classifier, answer=Reading.Answer.DIAGNOSIS
    )
    rows = readings.order_by("-recorded").annotate(spot=Coalesce("photo__lesion", "photo"))
    columns = ("spot", "assessment__image_type", "diagnosis", "assessment__diagnosis")
    found: dict[str, list[tuple[Any, LabelPair]]] = {}
    for spot, image_type, said, answered in rows.values_list(*columns)[:ANSWERS_MAX]:
        found.setdefault(image_type or DERMOSCOPIC, []).append((spot, (said, answered)))
    return {name: agreed(counted_lesions(pairs)) for name, pairs in found.items()}
