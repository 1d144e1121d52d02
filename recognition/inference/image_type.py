"""The image-type head: recognises from the pooled features whether a picture was taken through a dermatoscope."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

CONTRADICTS_FROM: Final = 0.9
"""A told kind of picture is contradicted when the other one is at least so probable."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageTypeHead:
    """A logistic regression on the pooled features: `weights` float32 (C,) and `bias` float32 ().

    Raises ValueError for other shapes or numbers that are not finite.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.weights.ndim != 1 or self.bias.shape != ():
            raise ValueError("An image-type head has one weight for each feature and one bias.")
        if not (np.all(np.isfinite(self.weights)) and np.isfinite(self.bias)):
            raise ValueError("A number of the image-type head is not finite.")

    def probability(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability that each picture is dermoscopic, (N,), from pooled features (N, C)."""
        scores = np.asarray(features, dtype=np.float64) @ self.weights + self.bias
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -50.0, 50.0))))

    def as_tensors(self) -> dict[str, NDArray[Any]]:
        """The tensors for the bundle."""
        return {"weights": self.weights, "bias": self.bias}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of `as_tensors`. Raises KeyError or ValueError."""
        return cls(np.asarray(tensors["weights"], np.float32), np.asarray(tensors["bias"], np.float32).reshape(()))


def recognised(dermoscopic: float) -> str:
    """The more probable kind of picture."""
    return DERMOSCOPIC if dermoscopic >= 0.5 else CLOSE_UP


def contradicts(told: str, dermoscopic: float) -> bool:
    """Whether the picture looks clearly like the other kind than `told`."""
    other = 1.0 - dermoscopic if told == DERMOSCOPIC else dermoscopic
    return other >= CONTRADICTS_FROM
