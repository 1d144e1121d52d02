"""The assessment of one photo: three gates, advice, a score and a prediction set, beside its eight probabilities.

Plain values for the database, the pages and the API. `assessor` makes them with the limits of a bundle. The names
"familiarity" and "certainty" are stored and sealed, so they stay: they are the gates OOD and PREDICTION_SET.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from recognition.taxonomy import CODES

SCORE_MIN: Final = 1
SCORE_MAX: Final = 10


class Decision(StrEnum):
    """What a person should do next. No value says that all is well."""

    URGENT = "urgent"
    """See a clinician urgently: within days."""
    SOON = "soon"
    """See a clinician soon: within weeks."""
    MONITOR = "monitor"
    """Photograph the spot again by a date."""
    NOT_ASSESSED = "not_assessed"
    """A gate refused the picture: quality or OOD."""


class Gate(StrEnum):
    """The gates that a picture passes, in this order: quality, out-of-distribution detection, prediction set."""

    QUALITY = "quality"
    OOD = "familiarity"
    PREDICTION_SET = "certainty"


CODES_OF: Final[Mapping[Gate, tuple[str, ...]]] = {
    Gate.QUALITY: ("too_small", "too_dark", "too_bright", "low_contrast", "blurred", "cropped"),
    Gate.OOD: ("other_image_type", "unfamiliar"),
    Gate.PREDICTION_SET: ("uncertain",),
}
"""Why a gate may refuse a picture. With several reasons the first in this order is given."""

REFUSING: Final = (Gate.QUALITY, Gate.OOD)
"""Gates that make a photo "not assessed". An uncertain answer keeps its advice."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one gate for one picture.

    `code` is empty if the picture passed, else one of `CODES_OF[gate]`. `measured` and `limit` are the measured value
    and its sealed limit, None if the bundle has no limit. Raises ValueError for anything else.
    """

    gate: Gate
    passed: bool
    code: str = ""
    measured: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.passed != (self.code == "") or (self.code and self.code not in CODES_OF[self.gate]):
            raise ValueError(f"The {self.gate} gate cannot have passed={self.passed} with the code {self.code!r}.")
        if any(number is not None and not math.isfinite(number) for number in (self.measured, self.limit)):
            raise ValueError(f"The {self.gate} gate measured something that is not a number.")


@dataclass(frozen=True, slots=True)
class Assessment:
    """The assessment of one photo.

    - `decision`: the advice; NOT_ASSESSED exactly if a gate of `REFUSING` did not pass;
    - `score`: 1 to 10, from the malignant score and the sealed edges; None if not assessed or without edges;
    - `gates`: the results of all three, in the order of `Gate`;
    - `prediction_set`: diagnosis codes, most probable first; empty if the bundle has no thresholds;
    - `monitor_days`: days until the next photograph, for MONITOR alone.

    Raises ValueError for an impossible combination.
    """

    decision: Decision
    score: int | None
    gates: tuple[GateResult, ...]
    prediction_set: tuple[str, ...] = ()
    monitor_days: int | None = None

    def __post_init__(self) -> None:
        if tuple(result.gate for result in self.gates) != tuple(Gate):
            raise ValueError("An assessment has every gate once, in order.")
        refused = any(not result.passed for result in self.gates if result.gate in REFUSING)
        if refused != (self.decision is Decision.NOT_ASSESSED):
            raise ValueError(f"The decision {self.decision} does not follow from the gates.")
        if self.score is not None and (refused or not SCORE_MIN <= self.score <= SCORE_MAX):
            raise ValueError(f"The score {self.score} cannot be.")
        if not set(self.prediction_set) <= set(CODES) or len(set(self.prediction_set)) != len(self.prediction_set):
            raise ValueError(f"The prediction set {self.prediction_set} is not a set of diagnoses.")
        if (self.monitor_days is not None) != (self.decision is Decision.MONITOR) or (
            self.monitor_days is not None and self.monitor_days < 1
        ):
            raise ValueError(f"Monitor days {self.monitor_days} with the decision {self.decision} cannot be.")

    def gate(self, gate: Gate) -> GateResult:
        """The result of one gate."""
        return self.gates[tuple(Gate).index(gate)]

    @property
    def refusal(self) -> GateResult | None:
        """The result of the first gate that made the photo "not assessed", or None."""
        return next((result for result in self.gates if result.gate in REFUSING and not result.passed), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a JSON column."""
        return {
            "decision": self.decision.value,
            "score": self.score,
            "gates": [
                {
                    "gate": result.gate.value,
                    "passed": result.passed,
                    "code": result.code,
                    "measured": result.measured,
                    "limit": result.limit,
                }
                for result in self.gates
            ],
            "prediction_set": list(self.prediction_set),
            "monitor_days": self.monitor_days,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError for anything that `as_json` cannot have written."""
        _exactly(values, ("decision", "score", "gates", "prediction_set", "monitor_days"))
        if not isinstance(values["gates"], list) or not isinstance(values["prediction_set"], list):
            raise ValueError("Gates and prediction set are lists.")
        return cls(
            decision=Decision(values["decision"]),
            score=_whole(values["score"]),
            gates=tuple(_gate_result(gate) for gate in values["gates"]),
            prediction_set=tuple(map(str, values["prediction_set"])),
            monitor_days=_whole(values["monitor_days"]),
        )


def _gate_result(values: object) -> GateResult:
    if not isinstance(values, Mapping):
        raise ValueError("A gate is a JSON object.")
    _exactly(values, ("gate", "passed", "code", "measured", "limit"))
    if not isinstance(values["passed"], bool) or not isinstance(values["code"], str):
        raise ValueError("A gate passed or not, with a code.")
    return GateResult(
        gate=Gate(values["gate"]),
        passed=values["passed"],
        code=values["code"],
        measured=_number(values["measured"]),
        limit=_number(values["limit"]),
    )


def _exactly(values: object, names: tuple[str, ...]) -> None:
    if not isinstance(values, Mapping) or set(values) != set(names):
        raise ValueError(f"Exactly {', '.join(names)} are expected.")


def _whole(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{value!r} is not a whole number.")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number.")
    return float(value)
