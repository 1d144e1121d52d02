"""Compares a candidate with the live classifier on the same test pictures, one kind of picture at a time.

What is compared is what people get: the advice with refused pictures counted as missed, the order by malignant score,
what that score says, and how many pictures are refused. The most probable diagnosis does not count.

The rule (non-inferiority, one for all figures): the lesions are redrawn a thousand times, both classifiers are measured
on the same ones (paired bootstrap), and at the worse end of the 95 % interval of the difference the candidate may be
worse by less than a stated margin. So a candidate that is as good as the live one fails on few pictures: "as good" must
be shown, not assumed. With fewer than `FEWEST_LESIONS` lesions nothing is said, which does not pass either.

The web process imports this, so nothing here loads scikit-learn or pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diagnoses.classifiers.description import case_mix_of
from recognition.evaluation.bootstrap import Estimate, estimates, number_of_lesions, on_all, paired_differences
from recognition.evaluation.measure import FEWEST_LESIONS, main_metrics
from recognition.evaluation.metrics import Metric, Proportion, is_malignant
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from training.models import Evaluation, Example


@dataclass(frozen=True, slots=True)
class Criterion:
    """One figure (`main_metrics`), how much of it may be lost, and whether more of it is better."""

    name: str
    margin: float
    more_is_better: bool = True


SENSITIVITY_MARGIN: Final = 0.05
"""At most one cancer in twenty more is missed. With the 450 cancers of a test split, two classifiers that disagree
about one in ten have an interval of 0.03 to either side, so an equally good one passes."""

MELANOMA_MARGIN: Final = 0.10
"""The same for melanomas alone. It is wider because there are few: 60 to 150 in a test split give an interval of 0.05
to 0.08 to either side. A narrower margin would refuse whatever is not far better, and be overridden each time."""

SPECIFICITY_MARGIN: Final = 0.05
"""At most one harmless lesion in twenty more is sent to a doctor. Several hundred of them give an interval of 0.03."""

AUC_MARGIN: Final = 0.03
"""The order of all pictures by malignant score. The interval of two equally good classifiers reaches 0.01 to 0.02 to
either side on 1,500 pictures, 0.02 to 0.03 on 560."""

CALIBRATION_MARGIN: Final = 0.03
"""So much more may a score be wrong on average. A sealed classifier should be wrong by 0.035 at most; with the margin a
score of 30 % still means 24 to 37 %."""

REFUSED_MARGIN: Final = 0.05
"""At most one person in twenty more is asked for another photo."""

CRITERIA: Final = (
    Criterion("sensitivity", SENSITIVITY_MARGIN),
    Criterion("melanoma_sensitivity", MELANOMA_MARGIN),
    Criterion("specificity", SPECIFICITY_MARGIN),
    Criterion("malignant_auc", AUC_MARGIN),
    Criterion("malignant_calibration_error", CALIBRATION_MARGIN, more_is_better=False),
    Criterion("not_assessed", REFUSED_MARGIN, more_is_better=False),
)

AUC_FLOOR: Final[Mapping[str, float]] = {DERMOSCOPIC: 0.80, CLOSE_UP: 0.70}
"""The AUC that the lower end of the interval must reach whatever is live: about what the shipped classifier keeps on
dermoscopic pictures of clinics that it never saw (0.82), and what a first short training reached on photos of phones
(0.76 to 0.82, its lower end 0.73). A toy network with 0.71 is below both."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a classifier said of N test pictures of one kind, and what they are.

    `labels` (N,) and `probabilities` (N, 8) in ISIC order, for the sealed case mix; `decisions` and `lesions` (N,).
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    decisions: list[str]
    lesions: NDArray[np.str_]
    weights: NDArray[np.float64]

    def metrics(self) -> dict[str, Metric]:
        """The figures that are compared, by name."""
        return main_metrics(self.labels, self.probabilities, decisions=self.decisions, weights=self.weights)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two classifiers. `candidate`, `live`: on all pictures; `interval`: of candidate minus live.

    `lesions` is how many there are to say it; with too few, `interval` is None and it is not passed.
    """

    criterion: Criterion
    candidate: float
    live: float
    lesions: int
    interval: Estimate | None

    @property
    def passed(self) -> bool:
        """Whether the worse end of the interval is within the margin."""
        if self.interval is None:
            return False
        worst = self.interval.low if self.criterion.more_is_better else -self.interval.high
        return bool(worst > -self.criterion.margin)


def answers_of(evaluation: Evaluation, image_type: str) -> Answers:
    """The answers of a classifier about the test pictures of this kind.

    The kind and the lesion of a picture are those of the data set; a picture without them is dermoscopic, and a lesion
    by itself.
    """
    rows = (
        evaluation.dataset.measurable()
        .filter(split=Example.Split.TEST, image__in=list(evaluation.predictions))
        .order_by("image")
        .values_list("image", "diagnosis", "lesion_id", "image_type")
    )
    chosen = [row for row in rows if (row[3] or DERMOSCOPIC) == image_type]
    said: list[dict[str, Any]] = [evaluation.predictions[image] for image, *_rest in chosen]
    labels = np.array([CODES.index(code) for _image, code, *_rest in chosen], dtype=np.int64)
    return Answers(
        labels=labels,
        probabilities=np.array([each["probabilities"] for each in said], dtype=np.float64).reshape(-1, len(CODES)),
        decisions=[str(each["decision"]) for each in said],
        lesions=np.array([f"lesion {lesion}" if lesion else f"image {image}" for image, _, lesion, _ in chosen]),
        weights=case_mix_of(evaluation.classifier.manifest).weights(labels),
    )


def compare(candidate: Answers, live: Answers) -> list[Difference]:
    """The differences of two classifiers on the same pictures, in the order of `CRITERIA`."""
    new, old = candidate.metrics(), live.metrics()
    lesions = {name: _lesions(metric, candidate) for name, metric in new.items()}
    enough = [name for name, count in lesions.items() if count >= FEWEST_LESIONS]
    intervals = paired_differences(
        {name: new[name] for name in enough},
        {name: old[name] for name in enough},
        candidate.labels,
        candidate.lesions,
    )
    return [
        Difference(
            criterion=each,
            candidate=on_all(new[each.name], candidate.labels),
            live=on_all(old[each.name], live.labels),
            lesions=lesions[each.name],
            interval=intervals.get(each.name),
        )
        for each in CRITERIA
    ]


def auc_of(answers: Answers) -> Estimate | None:
    """The AUC of the malignant score with its interval; None with too few lesions on either side."""
    metric = answers.metrics()["malignant_auc"]
    if _lesions(metric, answers) < FEWEST_LESIONS:
        return None
    return estimates({"auc": metric}, answers.labels, answers.lesions)["auc"]


def figures_of(answers: Answers) -> dict[str, float]:
    """The figures that are compared, on all pictures, without intervals; NaN where there is none to measure it on."""
    return {name: on_all(metric, answers.labels) for name, metric in answers.metrics().items()}


def _lesions(metric: Metric, answers: Answers) -> int:
    """How many lesions say it: those that a share is of, otherwise the fewer of those with and without a cancer."""
    if isinstance(metric, Proportion):
        return number_of_lesions(answers.lesions, metric.of)
    cancer = is_malignant(answers.labels)
    return min(number_of_lesions(answers.lesions, side) for side in (cancer, ~cancer))
