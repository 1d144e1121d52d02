"""Measures drift of the live classifier from the database.

There are three comparisons. Each uses a limited number of newest answers, so that its cost does not grow:

- the live classifier since its promotion against the previous classifier;
- the live classifier recently against itself earlier: finds other pictures or another camera;
- how often the clinicians' final diagnosis equals the prediction, now and with the previous classifier.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.drift import statistics
from diagnoses.photos.models import PhotoAssessment
from diagnoses.readings.models import Reading
from recognition.evaluation.agreement import Share, agreed, counted_lesions
from recognition.taxonomy import CODES

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
    """How often the clinicians' final diagnosis was the top diagnosis of the prediction, on each side."""

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
class Drift:
    """All comparisons of the live classifier. `promotion` and `readings` are None without a previous classifier."""

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
        """Whether no comparison has enough data."""
        comparisons = (self.promotion, self.lately, self.readings)
        return not any(comparison is not None and comparison.is_enough for comparison in comparisons)

    @property
    def is_quiet(self) -> bool:
        """Whether there was enough data to compare and nothing has shifted."""
        moved = self.has_moved_since_promotion or self.has_moved_lately or self.has_agreement_fallen
        return not moved and not self.is_unknown


def measure_drift(classifier: Classifier) -> Drift:
    """Compare the answers of the live `classifier` with those of its predecessor and with its own earlier ones.

    Four to six queries of at most `ANSWERS_MAX` rows. Raises ValueError if the classifier is not live.
    """
    if classifier.promoted is None or classifier.stage != Classifier.Stage.LIVE:
        raise ValueError("Only the live classifier drifts.")
    promoted = classifier.promoted
    earlier = Classifier.objects.filter(promoted__lt=promoted).exclude(pk=classifier.pk).defer("manifest")
    before = earlier.order_by("-promoted").first()
    # Only answers since the last promotion: a classifier that was rolled back to has earlier answers too.
    own = PhotoAssessment.objects.filter(prediction__classifier=classifier, created__gte=promoted)
    border = timezone.now() - LATELY
    lately = Comparison(_answers(own.filter(created__lt=border)), _answers(own.filter(created__gte=border)))
    if before is None:
        return Drift(classifier, None, None, lately, None)
    theirs = PhotoAssessment.objects.filter(prediction__classifier=before, created__lt=promoted)
    return Drift(
        classifier,
        before,
        Comparison(_answers(theirs), _answers(own)),
        lately,
        Readings(_agreement(before), _agreement(classifier)),
    )


def _answers(rows: QuerySet[PhotoAssessment]) -> AnswerCounts:
    newest = rows.order_by("-created").values_list("malignant_score", "diagnosis")[:ANSWERS_MAX]
    answers = list(newest)
    mix = Counter(diagnosis for _score, diagnosis in answers)
    scores = statistics.histogram([score for score, _diagnosis in answers], BINS)
    return AnswerCounts(len(answers), tuple(scores), tuple(mix[code] for code in CODES))


def _agreement(classifier: Classifier) -> Share | None:
    """Agreement in the newest final readings with a diagnosis, of photos that this classifier had predicted."""
    readings = Reading.objects.recorded().filter(
        assessment__prediction__classifier=classifier, answer=Reading.Answer.DIAGNOSIS
    )
    rows = (
        readings.order_by("-recorded")
        .annotate(spot=Coalesce("photo__lesion", "photo"))
        .values_list("spot", "diagnosis", "assessment__diagnosis")[:ANSWERS_MAX]
    )
    return agreed(counted_lesions((spot, (said, predicted)) for spot, said, predicted in rows))
