"""The calibration of one kind of picture: from logits to probabilities of a case mix."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import Strengths


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature (Guo et al. 2017) and prior strength, and the strengths of the metadata table.

        scores = logits / temperature + prior_strength * log shares of the case mix + contribution of the metadata

    Raises ValueError for a temperature that is not above 0 or a prior strength below 0.
    """

    temperature: float = 1.0
    prior_strength: float = 0.0
    strengths: Strengths = field(default_factory=Strengths)

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < math.inf or not 0.0 <= self.prior_strength < math.inf:
            raise ValueError("A temperature is above 0 and a prior strength is not negative.")

    def scores(
        self,
        logits: NDArray[np.floating],
        case_mix: CaseMix,
        contribution: NDArray[np.floating] | float = 0.0,
    ) -> NDArray[np.float64]:
        """The scores (…, 8) before the softmax, of logits (…, 8) and the contribution of the metadata (…, 8)."""
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        return np.asarray(scaled + self.prior_strength * case_mix.log_shares + contribution)

    def probabilities(
        self,
        logits: NDArray[np.floating],
        case_mix: CaseMix,
        contribution: NDArray[np.floating] | float = 0.0,
    ) -> NDArray[np.float64]:
        """The probabilities (…, 8): the softmax of `scores`."""
        return softmax(self.scores(logits, case_mix, contribution))

    def as_json(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`. Raises ValueError, KeyError or TypeError for anything else."""
        strengths = {name: float(value) for name, value in values["strengths"].items()}
        return cls(float(values["temperature"]), float(values["prior_strength"]), Strengths(**strengths))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities float64 (…, 8) of logits (…, 8); rows sum to 1."""
    shifted = np.asarray(logits, dtype=np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)
