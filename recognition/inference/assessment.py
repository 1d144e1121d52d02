"""Own what is said of one photo beyond its eight probabilities: three gates, advice, a score, and a prediction set.

Plain values that travel: out of the classifier into the database, the pages and the API, and back. They are made by
`assessor`, which knows the sealed limits. Imports nothing but the standard library and the vocabulary.
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
    """What a person should do next; none of them says that all is well."""

    URGENT = "urgent"
    """See a clinician urgently: within days."""
    SOON = "soon"
    """See a clinician soon: within weeks."""
    MONITOR = "monitor"
    """Photograph the spot again by a date."""
    NOT_ASSESSED = "not_assessed"
    """A gate refused the picture: quality or familiarity."""


class Gate(StrEnum):
    """What a picture passes before its answer counts, in this order."""

    QUALITY = "quality"
    OOD = "familiarity"
    PREDICTION_SET = "certainty"


CODES_OF: Final[Mapping[Gate, tuple[str, ...]]] = {
    Gate.QUALITY: ("too_small", "too_dark", "too_bright", "low_contrast", "blurred", "cropped"),
    Gate.OOD: ("unfamiliar",),
    Gate.PREDICTION_SET: ("uncertain",),
}
"""Why a gate may refuse. Of several reasons the first in this order is given: a black picture is blurred as well."""

REFUSING: Final = (Gate.QUALITY, Gate.OOD)
"""Gates that make a photo "not assessed"; an uncertain answer keeps its advice."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """How one picture met one gate.

    `code` is empty when it passed, else one of `CODES_OF[gate]`; `measured` and `limit` are the figure that decided
    and its sealed limit, None where the bundle has none. Raises ValueError for anything else.
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
    """What is said of one photo.

    - `decision`: the advice, NOT_ASSESSED exactly when a refusing gate did not pass;
    - `score`: 1 to 10 on the malignant score by the sealed bins, None when not assessed or the bundle has no bins;
    - `gates`: all three, in the order of `Gate`;
    - `prediction_set`: codes that cannot be told apart at the sealed coverage, most probable first; empty without one;
    - `monitor_days`: for MONITOR alone, after how many days to photograph the spot again.

    Raises ValueError for a combination that cannot be.
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
        """How the picture met one gate."""
        return self.gates[tuple(Gate).index(gate)]

    @property
    def refusal(self) -> GateResult | None:
        """The first gate that made the photo "not assessed", or None."""
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
