"""Thresholds on the malignant score: operating points, "soon" and "urgent", and the edges of the score from 1 to 10.

`weights` (N,), above 0, let the diagnoses weigh together as in the sealed case mix (`CaseMix.weights`). Specificities
and the numbers of pictures at each score are weighted: a clinic's harmless lesions are mostly nevi, whatever the
calibration pictures are. Sensitivities count every cancer once.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.metrics import Labels, Table, is_malignant, malignant_score
from recognition.inference.assessment import SCORE_MAX
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import PRECURSOR_POSITIONS, Diagnosis

SENSITIVITY_TARGETS: Final = (("balanced", None), ("sensitive", 0.95))
"""Operating points: the best sum of sensitivity and specificity (Youden 1950), and a sensitivity of 95 %."""

SOON_SENSITIVITY: Final = 0.95
"""Least sensitivity of "soon" on the calibration split, for all cancers and for melanoma alone. Of melanomas there are
few (52 dermoscopic, 13 close-ups), and a threshold that just finds 0.90 of them found 0.82 of MILK10k's on validation
(docs/training-log.md)."""

URGENT_SPECIFICITY: Final = 0.90
"""Least specificity of "urgent": at most one in ten benign lesions, because people ignore frequent false alarms."""

STEPS_BELOW_SOON: Final = 4
STEPS_BELOW_URGENT: Final = 3
STEPS_URGENT: Final = SCORE_MAX - STEPS_BELOW_SOON - STEPS_BELOW_URGENT
"""Scores 1 to 4 are below "soon", 5 to 7 are "soon", 8 to 10 are "urgent": score and advice agree."""

PER_STEP_MIN: Final = 3
"""Fewest pictures for each step between two edges, for edges that are quantiles."""

MELANOMAS_MIN: Final = 10
"""Fewest melanomas for a sensitivity that "soon" must reach for them. Of nine, 90 % are all nine, and the one that
looks most harmless would send nearly everybody to a clinic."""

Weights = NDArray[np.floating]


def choose_operating_points(labels: Labels, probabilities: Table, weights: Weights) -> tuple[OperatingPoint, ...]:
    """The operating points, with their sensitivity and specificity on the calibration split.

    `labels` (N,) and calibrated `probabilities` (N, 8). Empty if there are no cancers or no benign pictures.
    """
    positive, scores = is_malignant(labels), malignant_score(probabilities)
    if positive.all() or not positive.any():
        return ()
    thresholds = np.unique(scores)
    rates = np.array([_rates(positive, scores >= threshold, weights) for threshold in thresholds])
    points = []
    for name, target in SENSITIVITY_TARGETS:
        # With a target, the highest threshold that still reaches it.
        candidates = rates.sum(axis=1) if target is None else np.where(rates[:, 0] >= target, rates[:, 1], -1.0)
        best = int(candidates.argmax())
        points.append(OperatingPoint(name, float(thresholds[best]), float(rates[best, 0]), float(rates[best, 1])))
    return tuple(points)


def choose_decision(labels: Labels, probabilities: Table, weights: Weights) -> dict[str, dict[str, float]] | None:
    """The thresholds of "soon" and "urgent", each with the sensitivity and specificity of its advice on these pictures.

    "soon" is the highest threshold with `SOON_SENSITIVITY` for all cancers and, from `MELANOMAS_MIN` on, for melanoma.
    "urgent" is the lowest with `URGENT_SPECIFICITY`, and not below "soon". None without melanomas or benign lesions.
    """
    positive, scores = is_malignant(labels), malignant_score(probabilities)
    melanoma = labels == Diagnosis.MEL.position
    if not melanoma.any() or positive.all():
        return None
    sides = (positive, melanoma) if melanoma.sum() >= MELANOMAS_MIN else (positive,)
    soon = min(_reached_by(scores[chosen], SOON_SENSITIVITY) for chosen in sides)
    order = np.argsort(scores[~positive], kind="stable")
    benign, below = scores[~positive][order], np.cumsum(weights[~positive][order])
    thresholds = np.unique(scores)
    above = thresholds[thresholds > benign[int(np.searchsorted(below, URGENT_SPECIFICITY * below[-1] - 1e-9))]]
    urgent = max(soon, float(above[0]) if above.size else 1.0)
    decision = {}
    for name, threshold in (("soon", soon), ("urgent", urgent)):
        flagged = advised(probabilities, name, threshold)
        sensitivity, specificity = _rates(positive, flagged, weights)
        decision[name] = {
            "threshold": threshold,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "melanoma_sensitivity": float(flagged[melanoma].mean()),
        }
    return decision


def advised(probabilities: Table, name: str, threshold: float) -> NDArray[np.bool_]:
    """Which rows get the advice `name` ("soon" or "urgent") or a more urgent one, bool (N,); as `inference.decision`.

    A row whose most probable diagnosis is a precursor (AK) gets "soon" as well.
    """
    flagged = malignant_score(probabilities) >= threshold
    if name == "soon":
        flagged = flagged | np.isin(np.asarray(probabilities).argmax(axis=1), PRECURSOR_POSITIONS)
    return np.asarray(flagged, dtype=np.bool_)


def choose_edges(scores: Table, weights: Weights, *, soon: float, urgent: float) -> list[float] | None:
    """The nine rising edges of the score from 1 to 10: both thresholds, and quantiles between them.

    `scores` (N,) are the malignant scores of the calibration pictures. None if they are too similar, or if both
    thresholds are the same.
    """
    edges = [
        *_inner(scores, weights, 0.0, soon, STEPS_BELOW_SOON),
        soon,
        *_inner(scores, weights, soon, urgent, STEPS_BELOW_URGENT),
        urgent,
        *_inner(scores, weights, urgent, 1.0, STEPS_URGENT),
    ]
    rising = all(low < high for low, high in zip([0.0, *edges], [*edges, 1.0], strict=True))
    return edges if rising and len(edges) == SCORE_MAX - 1 else None


def _inner(scores: Table, weights: Weights, low: float, high: float, steps: int) -> list[float]:
    """The edges between `steps` equally heavy shares of the scores in [low, high); equally wide for too few scores."""
    chosen = (scores >= low) & (scores < high)
    at = np.arange(1, steps) / steps
    if chosen.sum() < PER_STEP_MIN * steps:
        return [float(edge) for edge in low + (high - low) * at]
    order = np.argsort(scores[chosen], kind="stable")
    ordered, weight = scores[chosen][order], weights[chosen][order]
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    return [float(edge) for edge in np.interp(at, middle, ordered)]


def _rates(positive: NDArray[np.bool_], flagged: NDArray[np.bool_], weights: Weights) -> tuple[float, float]:
    """Sensitivity, and specificity by the weights."""
    benign = ~positive
    return float(flagged[positive].mean()), float(weights[benign & ~flagged].sum() / weights[benign].sum())


def _reached_by(scores: Table, share: float) -> float:
    """The highest threshold that at least this share of the scores reaches."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[int(np.ceil(share * ordered.size)) - 1])
