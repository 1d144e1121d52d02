"""Own what the database says about drift of the live classifier.

Three comparisons, each of the newest answers on either side so that none costs more in a large practice:

- since the promotion against the classifier before it: what people are told now and were told then;
- the live classifier lately against itself earlier: other pictures arrive, or the same ones from another camera;
- how often clinicians' final answers are the prediction's, now and with the classifier before.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.drift import statistics
from diagnoses.photos.models import Prediction
from diagnoses.readings.models import Reading
from recognition.evaluation.agreement import Share, wilson
from recognition.taxonomy import CODES

ANSWERS_MAX: Final = 2000
"""Newest answers of a side that are looked at: shares of so many are known to two per cent."""

ANSWERS_MIN: Final = 100
"""Fewer on a side say nothing about ten parts of a score."""

READINGS_MIN: Final = 30
"""Fewer readings on a side give an interval of a third of all."""

LATELY: Final = timedelta(days=30)
"""What counts as lately: long enough for a small practice, short enough to notice a new camera."""

BINS: Final = 10
"""Tenths of the malignant score."""

INDEX_LARGE: Final = 0.25
"""A stability index from which one speaks of a large shift (Siddiqi 2006)."""

VARIATION_LARGE: Final = 0.2
"""A fifth of all answers would have to be others for the two mixes to be the same."""


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """The answers of one side: how many, in which tenth of the malignant score, with which top diagnosis (ISIC)."""

    count: int
    scores: tuple[int, ...]
    mix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides and how far apart they are. The figures mean something only where `is_enough`."""

    before: AnswerCounts
    after: AnswerCounts

    @property
    def is_enough(self) -> bool:
        """Whether both sides have answers enough to compare."""
        return min(self.before.count, self.after.count) >= ANSWERS_MIN

    @property
    def index(self) -> float:
        """The stability index of the malignant score."""
        return statistics.stability_index(self.before.scores, self.after.scores)

    @property
    def index_by_chance(self) -> float:
        """What the index exceeds once in a thousand times by chance."""
        return statistics.stability_by_chance(self.before.scores, self.after.scores)

    @property
    def variation(self) -> float:
        """The total variation of the class mix, 0 to 1."""
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
        """Whether either has."""
        return self.have_scores_moved or self.has_mix_moved


@dataclass(frozen=True, slots=True)
class Readings:
    """How often clinicians' final diagnosis was the prediction's top diagnosis, on either side."""

    before: Share | None
    after: Share | None

    @property
    def is_enough(self) -> bool:
        """Whether both sides have readings enough to compare."""
        return self.difference is not None

    @property
    def difference(self) -> tuple[float, float] | None:
        """The 95 % interval of after minus before; None where there are too few readings to say."""
        if self.before is None or self.after is None or min(self.before.of, self.after.of) < READINGS_MIN:
            return None
        return statistics.difference(self.before, self.after)

    @property
    def has_fallen(self) -> bool:
        """Whether the whole interval of the difference lies below nought."""
        return self.difference is not None and self.difference[1] < 0


@dataclass(frozen=True, slots=True)
class Drift:
    """All comparisons of the live classifier; `promotion` and `readings` are None for the first that was ever live."""

    classifier: Classifier
    before: Classifier | None
    promotion: Comparison | None
    lately: Comparison
    readings: Readings | None

    @property
    def has_moved_since_promotion(self) -> bool:
        return self.promotion is not None and self.promotion.has_moved

    @property
    def has_moved_lately(self) -> bool:
        return self.lately.has_moved

    @property
    def has_agreement_fallen(self) -> bool:
        return self.readings is not None and self.readings.has_fallen

    @property
    def is_unknown(self) -> bool:
        """Whether there is not enough of anything to say a word."""
        comparisons = (self.promotion, self.lately, self.readings)
        return not any(comparison is not None and comparison.is_enough for comparison in comparisons)

    @property
    def is_quiet(self) -> bool:
        """Whether something could be compared and nothing has moved."""
        moved = self.has_moved_since_promotion or self.has_moved_lately or self.has_agreement_fallen
        return not moved and not self.is_unknown


def measure_drift(classifier: Classifier) -> Drift:
    """Compare what the live `classifier` says with what was said before it and with what it said itself.

    Four to six queries of at most `ANSWERS_MAX` rows. Raises ValueError for a classifier that is not live.
    """
    if classifier.promoted is None or classifier.stage != Classifier.Stage.LIVE:
        raise ValueError("Only the live classifier drifts.")
    promoted = classifier.promoted
    earlier = Classifier.objects.filter(promoted__lt=promoted).exclude(pk=classifier.pk).defer("manifest")
    before = earlier.order_by("-promoted").first()
    # What it answered since it last went live: a classifier that was put back answered before as well.
    own = Prediction.objects.filter(classifier=classifier, created__gte=promoted)
    border = timezone.now() - LATELY
    lately = Comparison(_answers(own.filter(created__lt=border)), _answers(own.filter(created__gte=border)))
    if before is None:
        return Drift(classifier, None, None, lately, None)
    theirs = Prediction.objects.filter(classifier=before, created__lt=promoted)
    return Drift(
        classifier,
        before,
        Comparison(_answers(theirs), _answers(own)),
        lately,
        Readings(_agreement(before), _agreement(classifier)),
    )


def _answers(rows: QuerySet[Prediction]) -> AnswerCounts:
    newest = rows.order_by("-created").values_list("malignant_score", "diagnosis")[:ANSWERS_MAX]
    answers = list(newest)
    mix = Counter(diagnosis for _score, diagnosis in answers)
    scores = statistics.histogram([score for score, _diagnosis in answers], BINS)
    return AnswerCounts(len(answers), tuple(scores), tuple(mix[code] for code in CODES))


def _agreement(classifier: Classifier) -> Share | None:
    """Over the newest final readings that gave a diagnosis of a photo this classifier had answered."""
    readings = Reading.objects.recorded().filter(prediction__classifier=classifier, answer=Reading.Answer.DIAGNOSIS)
    pairs = list(readings.order_by("-recorded").values_list("diagnosis", "prediction__diagnosis")[:ANSWERS_MAX])
    return wilson(sum(said == predicted for said, predicted in pairs), len(pairs))
