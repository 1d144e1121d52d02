"""The alarm for degenerate output: a live classifier whose answers no longer depend on the picture.

Its predictions of recent pictures are compared with its predictions of the calibration pictures, which are sealed as
"live" in the manifest's assessment.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CODES, MALIGNANT_POSITIONS

PREDICTIONS_MIN: Final = 30
"""Fewest predictions for an alarm: with fewer, one diagnosis for all is normal."""

SPREAD_SHARE: Final = 0.1
"""Alarm when the largest standard deviation of a probability is below a tenth of that of the calibration pictures."""

SPREAD_MIN: Final = 1e-3
"""Least standard deviation, also for bundles without sealed figures; `sealing` uses the same limit."""

SCORE_BINS: Final = 10
"""Bins of the malignant score in the reference; drift compares them."""

TAKEN_SHARE: Final = 0.95
"""Alarm when one diagnosis has this share of the predictions ..."""

CHANCE_MAX: Final = 1e-4
"""... and the chance of so many, given its share of the calibration pictures, is below this."""


@dataclass(frozen=True, slots=True)
class DegenerateOutput:
    """What is wrong with the predictions. `code`: "constant" or "one_diagnosis".

    `measured` and `limit` are the largest standard deviation, or the share of `diagnosis`; `predictions` is their
    number.
    """

    code: str
    measured: float
    limit: float
    predictions: int
    diagnosis: str = ""


def live_reference(
    predictions: Sequence[Sequence[float]], weights: NDArray[np.floating] | None = None
) -> dict[str, Any]:
    """The reference to seal, from the probabilities (N, 8) of the calibration pictures of one kind, pictures alone.

    With `weights` (N,) the pictures count as in a case mix. "scores" are the shares of the malignant score in ten bins
    of equal width, "effective_pictures" how many pictures without weights would be as certain (Kish 1965).
    """
    table = np.asarray(predictions, dtype=np.float64).reshape(-1, len(CODES))
    weights = np.ones(len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = weights.sum() or 1.0
    malignant = np.minimum(table[:, list(MALIGNANT_POSITIONS)].sum(axis=1), 1.0)
    shares = np.bincount(table.argmax(axis=1), weights=weights, minlength=len(CODES)) / total
    scores = np.histogram(malignant, bins=SCORE_BINS, range=(0.0, 1.0), weights=weights)[0] / total
    mean = weights @ table / total
    spread = np.sqrt(weights @ (table - mean) ** 2 / total)
    return {
        "pictures": len(table),
        "effective_pictures": int(weights.sum() ** 2 / (weights @ weights)) if len(table) else 0,
        "shares": dict(zip(CODES, shares.tolist(), strict=True)),
        "scores": scores.tolist(),
        "mean": dict(zip(CODES, mean.tolist(), strict=True)),
        "spread": float(spread.max()),
    }


def find_degenerate_output(
    predictions: Sequence[Sequence[float]], reference: Mapping[str, Any]
) -> DegenerateOutput | None:
    """Degenerate output in recent predictions of different pictures, or None.

    `predictions` are calibrated probabilities (N, 8) in ISIC order. `reference` is the manifest's "live" block and may
    be empty. Returns None for fewer than `PREDICTIONS_MIN`. Raises ValueError for rows of another length.
    """
    table = np.asarray(predictions, dtype=np.float64)
    if not len(table):
        return None
    if table.ndim != 2 or table.shape[1] != len(CODES):  # rows of a table
        raise ValueError(f"The predictions are {table.shape}; (N, {len(CODES)}) is expected.")
    if len(table) < PREDICTIONS_MIN:
        return None
    spread = float(table.std(axis=0).max())
    limit = max(SPREAD_MIN, SPREAD_SHARE * float(reference.get("spread", 0.0)))
    if spread < limit:
        return DegenerateOutput("constant", spread, limit, len(table))
    counts = np.bincount(table.argmax(axis=1), minlength=len(CODES))
    position = int(counts.argmax())
    share = float(counts[position] / len(table))
    expected = float(reference.get("shares", {}).get(CODES[position], 1 / len(CODES)))
    if share >= TAKEN_SHARE and _at_least(int(counts[position]), len(table), expected) < CHANCE_MAX:
        return DegenerateOutput("one_diagnosis", share, TAKEN_SHARE, len(table), CODES[position])
    return None


def _at_least(hits: int, tries: int, share: float) -> float:
    """Probability of at least `hits` of `tries`, each with probability `share` (binomial)."""
    return math.fsum(
        math.comb(tries, number) * share**number * (1.0 - share) ** (tries - number)
        for number in range(hits, tries + 1)
    )
