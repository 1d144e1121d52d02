"""The assessor: computes an `Assessment` from picture, features and probabilities, with the limits of one bundle.

The manifest's block "assessment" has these parts, each optional:

    quality        the fields of `QualityLimits`
    familiarity    OOD detection: "limit" (and what was measured); its tensors are in familiarity.safetensors
    conformal      "thresholds" by code, "size_max", "coverage" (and what was measured)
    decision       "soon" and "urgent", each with "threshold" and what it achieved on the calibration split
    score          ten entries, "score", "from", "to" on the malignant score (and the share of cancers at each)
    monitor_days   after how many days to photograph again
    live           reference for the alarm, see `degenerate_output`

Without a part its gate passes and its result is left out. Without "decision" the threshold of the operating point
"balanced" gives "soon"; without that too, every picture gets at least "soon".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.assessment import REFUSING, SCORE_MAX, Assessment, Decision, Gate, GateResult
from recognition.inference.decision import MONITOR_DAYS, decide, score_of
from recognition.inference.ood import OodDetector, check_ood, colour_statistics
from recognition.inference.prediction_set import check_prediction_set, prediction_set
from recognition.inference.quality import DEFAULT_LIMITS, QualityLimits, QualityMeasures, check_quality, measure_quality
from recognition.taxonomy import CODES, MALIGNANT_POSITIONS, Diagnosis

ALWAYS_SOON: Final = 0.0
NEVER_URGENT: Final = math.inf


@dataclass(frozen=True, slots=True)
class AssessmentSettings:
    """The sealed limits of one bundle, checked. Thresholds and edges are values of the malignant score, 0 to 1."""

    quality: QualityLimits = DEFAULT_LIMITS
    ood_limit: float | None = None
    set_thresholds: Mapping[str, float] | None = None
    set_size_max: int = len(CODES)
    soon: float = ALWAYS_SOON
    urgent: float = NEVER_URGENT
    edges: tuple[float, ...] | None = None
    monitor_days: int = MONITOR_DAYS

    @classmethod
    def from_json(cls, block: Mapping[str, Any], *, fallback: float | None = None) -> Self:
        """Read the manifest's block; `fallback` is the threshold for "soon" if the block has none.

        Raises ValueError, KeyError, TypeError or AttributeError for a malformed block.
        """
        conformal, decision, scores = block.get("conformal"), block.get("decision"), block.get("score")
        ood = block.get("familiarity")
        made = cls(
            quality=QualityLimits.from_json(block["quality"]) if block.get("quality") else DEFAULT_LIMITS,
            ood_limit=float(ood["limit"]) if ood else None,
            set_thresholds={code: float(conformal["thresholds"][code]) for code in CODES} if conformal else None,
            set_size_max=int(conformal["size_max"]) if conformal else len(CODES),
            soon=float(decision["soon"]["threshold"]) if decision else ALWAYS_SOON if fallback is None else fallback,
            urgent=float(decision["urgent"]["threshold"]) if decision else NEVER_URGENT,
            edges=tuple(float(entry["from"]) for entry in scores[1:]) if scores else None,
            monitor_days=int(block.get("monitor_days", MONITOR_DAYS)),
        )
        if not made.soon <= made.urgent:
            raise ValueError("The threshold for soon lies above the one for urgent.")
        if made.edges is not None and (len(made.edges) != SCORE_MAX - 1 or list(made.edges) != sorted(set(made.edges))):
            raise ValueError(f"A score has {SCORE_MAX} rising steps.")
        if made.monitor_days < 1:
            raise ValueError("The days until the next photograph are at least one.")
        return made


def malignant_score(probabilities: NDArray[np.floating]) -> float:
    """MEL + BCC + SCC of one row of calibrated probabilities (8,), 0 to 1."""
    return float(np.asarray(probabilities)[list(MALIGNANT_POSITIONS)].sum())


@dataclass(frozen=True, slots=True, eq=False)
class PictureStatistics:
    """What the gates measure on the picture itself: its quality, and `colours` (6,), see `ood.colour_statistics`."""

    quality: QualityMeasures
    colours: NDArray[np.float64]

    @classmethod
    def of(cls, picture: Image.Image, reference: Image.Image, *, reference_long_side: int) -> Self:
        """Measure the upright RGB picture; `reference` is the same picture at reference scale."""
        return cls(
            measure_quality(picture, reference=reference),
            colour_statistics(reference, reference_long_side=reference_long_side),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Assessor:
    """The limits and the OOD detector of one bundle, ready to assess pictures."""

    settings: AssessmentSettings
    ood_detector: OodDetector | None = None

    def assess(
        self,
        statistics: PictureStatistics | None,
        *,
        features: NDArray[np.floating],
        probabilities: NDArray[np.floating],
    ) -> Assessment:
        """The assessment of one picture with the pooled `features` (C,) and calibrated `probabilities` (8,).

        Without `statistics` (only pixels were given) the first two gates pass unmeasured.
        """
        settings = self.settings
        codes = () if settings.set_thresholds is None else prediction_set(probabilities, settings.set_thresholds)
        gates = (
            GateResult(Gate.QUALITY, True)
            if statistics is None
            else check_quality(statistics.quality, settings.quality),
            self._check_ood(statistics, features),
            check_prediction_set(codes, settings.set_size_max) if codes else GateResult(Gate.PREDICTION_SET, True),
        )
        if any(not result.passed for result in gates if result.gate in REFUSING):
            return Assessment(Decision.NOT_ASSESSED, None, gates, codes)
        malignant = malignant_score(probabilities)
        diagnosis = Diagnosis(CODES[int(np.argmax(probabilities))])
        decision = decide(malignant, diagnosis, soon=settings.soon, urgent=settings.urgent)
        return Assessment(
            decision=decision,
            score=None if settings.edges is None else score_of(malignant, settings.edges),
            gates=gates,
            prediction_set=codes,
            monitor_days=settings.monitor_days if decision is Decision.MONITOR else None,
        )

    def _check_ood(self, statistics: PictureStatistics | None, features: NDArray[np.floating]) -> GateResult:
        if statistics is None or self.ood_detector is None or self.settings.ood_limit is None:
            return GateResult(Gate.OOD, True)
        distance = self.ood_detector.score(np.asarray(features)[None], statistics.colours[None])[0]
        return check_ood(float(distance), self.settings.ood_limit)
