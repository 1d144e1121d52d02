"""Own the decision aid: from probabilities to what a person should do next, and the score from 1 to 10.

Both rest on the malignant score (calibrated MEL + BCC + SCC). The most probable diagnosis decides alone in one case:
an actinic keratosis is no cancer and may not count as one, but it can become one and wants a clinician.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from recognition.inference.assessment import SCORE_MAX, Decision
from recognition.taxonomy import Diagnosis

MONITOR_DAYS: Final = 90
"""Three months: the interval of short-term digital monitoring of moles (Menzies et al. 2001)."""


def decide(malignant_score: float, diagnosis: Diagnosis, *, soon: float, urgent: float) -> Decision:
    """The advice for an assessed picture, by the sealed thresholds (0 to 1, `soon` at most `urgent`)."""
    if malignant_score >= urgent:
        return Decision.URGENT
    if malignant_score >= soon or diagnosis.precursor:
        return Decision.SOON
    return Decision.MONITOR


def score_of(malignant_score: float, edges: Sequence[float]) -> int:
    """1 to 10: one more than the number of the nine rising edges that the malignant score reaches.

    Raises ValueError for another number of edges.
    """
    if len(edges) != SCORE_MAX - 1:
        raise ValueError(f"A score from 1 to {SCORE_MAX} has {SCORE_MAX - 1} edges.")
    return 1 + bisect_right(list(edges), malignant_score)
