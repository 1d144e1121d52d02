"""Temperature, prior strength and the strengths of the metadata: what calibrates the scores of one kind of picture.

The scores of a picture are sums of parts, each with a factor: logits / temperature + prior strength * log share of each
diagnosis + strength * metadata table. Temperature scaling (Guo et al. 2017) and the correction for prior shift
(Saerens et al. 2002) are both such factors, and the log loss is convex in them.

The factors are fitted with the shares of the calibration pictures themselves, every picture counted once; served are
those of the sealed case mix. The other way, fitting with the sealed shares and pictures weighted to them, was compared
by cross-validation over lesions on the calibration split (five folds, ten times, distilled-2): the log loss weighted
to the case mix is the same, 0.526 on 654 dermoscopic pictures and 0.96 on 261 close-ups, but the weighted fit of the
close-ups, where 27 nevi stand for two thirds of the mix, changes three times as much from one deal of the folds to the
next, and the calibration error of its malignant score is larger (0.049 against 0.032).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recognition.evaluation.metrics import Labels, Table
from recognition.inference.calibration import Calibration
from recognition.inference.metadata import Strengths
from recognition.taxonomy import CODES

TEMPERATURE_LIMITS: Final = (0.05, 20.0)
PRIOR_STRENGTH_MAX: Final = 2.0
STRENGTH_MAX: Final = 1.5
"""Factors are not below 0: a share, or an answer, never speaks for the opposite of what it says."""

SMOOTHING: Final = 0.5
"""Pictures added to each diagnosis before the logarithm of its share: one without a picture is rare, not impossible."""


def fit_calibration(
    logits: Table, labels: Labels, *, demographics: Table | None = None, answers: Table | None = None
) -> Calibration:
    """The calibration of one kind of picture, from logits (N, 8) and labels (N,) of its calibration pictures.

    `demographics` and `answers` (N, 8) are what the metadata table adds to the scores at strength 1. None, or nothing
    but 0, gives the strength 0: nothing is known about it for this kind. Temperature and prior strength are those of
    the picture alone; the strengths are fitted afterwards.
    """
    shares = np.broadcast_to(_log_shares(labels), logits.shape)
    limits = [(1.0 / TEMPERATURE_LIMITS[1], 1.0 / TEMPERATURE_LIMITS[0]), (0.0, PRIOR_STRENGTH_MAX)]
    inverse, prior_strength = _factors([logits, shares], labels, limits=limits)
    known = {
        name: part
        for name, part in (("demographics", demographics), ("answers", answers))
        if part is not None and np.any(part)
    }
    found = _factors(
        list(known.values()),
        labels,
        limits=[(0.0, STRENGTH_MAX)] * len(known),
        beside=logits * inverse + prior_strength * shares,
    )
    return Calibration(
        temperature=1.0 / inverse,
        prior_strength=prior_strength,
        strengths=Strengths(**dict(zip(known, found, strict=True))),
    )


def _log_shares(labels: Labels) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=len(CODES)) + SMOOTHING
    return np.asarray(np.log(counts / counts.sum()))


def _factors(
    parts: Sequence[Table], labels: Labels, *, limits: Sequence[tuple[float, float]], beside: Table | float = 0.0
) -> list[float]:
    """The factor of each part (N, 8) with the least log loss of softmax(beside + sum of factor * part)."""
    if not parts:
        return []
    stacked = np.stack([np.asarray(part, dtype=np.float64) for part in parts])
    truth = np.eye(len(CODES))[labels]

    def loss(factors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = beside + np.tensordot(factors, stacked, axes=1)
        scores = scores - scores.max(axis=1, keepdims=True)
        powers = np.exp(scores)
        total = powers.sum(axis=1, keepdims=True)
        gradient = np.einsum("pnd,nd->p", stacked, powers / total - truth) / labels.size
        return float(-((scores * truth).sum() - np.log(total).sum()) / labels.size), gradient

    start = [min(max(1.0, low), high) for low, high in limits]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 1e-12, "gtol": 1e-9})
    return [float(factor) for factor in found.x]
