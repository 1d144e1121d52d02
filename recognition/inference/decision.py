"""The decision aid: from the malignant score to advice, and to a score from 1 to 10.

The malignant score is the calibrated MEL + BCC + SCC. In one case the most probable diagnosis decides: an actinic
keratosis is no cancer, so it is not part of the score, but it can become one, so the advice is at least "soon".
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from recognition.inference.assessment import SCORE_MAX, Decision
from recognition.taxonomy import Diagnosis

MONITOR_DAYS: Final = 90
"""Three months: the interval of short-term digital monitoring of moles (Menzies et al. 2001)."""


def decide(malignant_score: float, diagnosis: Diagnosis, *, soon: float, urgent: float) -> Decision:
    """The advice for a picture that passed the gates; the thresholds are in [0, 1] with `soon` <= `urgent`."""
    if malignant_score >= urgent:
        return Decision.URGENT
    if malignant_score >= soon or diagnosis.precursor:
        return Decision.SOON
    return Decision.MONITOR


_ORDER: Final = (Decision.MONITOR, Decision.SOON, Decision.URGENT)


def with_metadata(decision: Decision, *, with_answers: Decision, picture_alone: Decision) -> Decision:
    """The advice after age, sex, site and answers: one of the three that are given.

    `decision` is that of picture and all metadata together, `with_answers` that of picture and answers. All of it may
    raise the advice of the picture by any step. The answers may lower it by one step, but "urgent" stays: they come
    from people who were sent to one clinic, and who was sent is in them. Age, sex and site never lower it: they say who
    mostly has a cancer, not what this spot is, and a young person with a melanoma must not wait for being young.
    """
    if picture_alone is Decision.URGENT:
        return Decision.URGENT
    least = max(_ORDER.index(with_answers), _ORDER.index(picture_alone) - 1)
    return _ORDER[max(_ORDER.index(decision), least)]


def score_of(malignant_score: float, edges: Sequence[float]) -> int:
    """The score from 1 to 10: 1 plus the number of edges that are at or below the malignant score.

    `edges` are nine rising values in [0, 1]. Raises ValueError for another number of edges.
    """
    if len(edges) != SCORE_MAX - 1:
        raise ValueError(f"A score from 1 to {SCORE_MAX} has {SCORE_MAX - 1} edges.")
    return 1 + bisect_right(list(edges), malignant_score)
