"""Own the alarm of a live classifier that has stopped looking at the picture.

A pure function of recent predictions and of the figures that were sealed with the classifier ("live" in the manifest's
assessment): what its answers looked like on the calibration pictures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recognition.taxonomy import CODES

PREDICTIONS_MIN: Final = 30
"""Fewer say nothing: thirty moles in a row are an ordinary week."""

SPREAD_SHARE: Final = 0.1
"""Alarm when the most varying probability varies less than a tenth of what it did on the calibration pictures."""

SPREAD_MIN: Final = 1e-3
"""The spread below which no bundle is sealed either; for bundles that carry no figures of their own."""

TAKEN_SHARE: Final = 0.95
"""Alarm when one diagnosis takes this share, as at sealing."""

CHANCE_MAX: Final = 1e-4
"""...and so many of it would come about less often than this if photos were like the calibration pictures."""


@dataclass(frozen=True, slots=True)
class DegenerateOutput:
    """What is wrong. `code`: "constant" or "one_diagnosis".

    `measured` and `limit` are the spread, or the share that `diagnosis` takes; `predictions` how many were looked at.
    """

    code: str
    measured: float
    limit: float
    predictions: int
    diagnosis: str = ""


def live_reference(predictions: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The figures to seal: of calibrated probabilities (N, 8) over the calibration pictures."""
    table = np.asarray(predictions, dtype=np.float64).reshape(-1, len(CODES))
    counts = np.bincount(table.argmax(axis=1), minlength=len(CODES)) if len(table) else np.zeros(len(CODES))
    return {
        "pictures": len(table),
        "shares": {code: float(share) for code, share in zip(CODES, counts / max(len(table), 1), strict=True)},
        "mean": {code: float(table[:, at].mean()) if len(table) else 0.0 for at, code in enumerate(CODES)},
        "spread": float(table.std(axis=0).max()) if len(table) else 0.0,
    }


def find_degenerate_output(
    predictions: Sequence[Sequence[float]], reference: Mapping[str, Any]
) -> DegenerateOutput | None:
    """What is wrong with recent predictions of different pictures, or None.

    `predictions` are calibrated probabilities, eight each in ISIC order; `reference` is the manifest's "live" block and
    may be empty. None for fewer than `PREDICTIONS_MIN`: there is nothing to say yet. Raises ValueError for rows of
    another length.
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
    """The chance of at least so many hits, each with probability `share` (binomial)."""
    return math.fsum(
        math.comb(tries, number) * share**number * (1.0 - share) ** (tries - number)
        for number in range(hits, tries + 1)
    )
