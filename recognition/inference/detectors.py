"""What a bundle recognises from pooled features: unfamiliar pictures of each kind, and the kind itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.inference.image_type import ImageTypeHead
from recognition.inference.ood import OodDetector
from recognition.inference.outputs import PictureOutputs, PictureStatistics
from recognition.taxonomy import DERMOSCOPIC

IMAGE_TYPE_HEAD: Final = "image_type_head"
"""Prefix of the tensors of the image-type head; those of a detector have its kind of picture before the slash."""


@dataclass(frozen=True, slots=True)
class Detectors:
    """The OOD detector of each kind of picture, and the head that recognises the kind."""

    ood: Mapping[str, OodDetector]
    image_type: ImageTypeHead | None = None

    def measure(
        self,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        statistics: Sequence[PictureStatistics] | None,
    ) -> list[PictureOutputs]:
        """The outputs of each picture from logits (N, 8), pooled features (N, C) and N statistics.

        Without statistics there is neither quality nor OOD score.
        """
        count = len(logits)
        if not count:
            return []
        dermoscopic = [None] * count if self.image_type is None else self.image_type.probability(features).tolist()
        ood: dict[str, NDArray[np.float64]] = {}
        if statistics is not None:
            colours = np.stack([each.colours for each in statistics])
            ood = {kind: detector.score(features, colours) for kind, detector in self.ood.items()}
        return [
            PictureOutputs(
                logits=np.asarray(logits[at], dtype=np.float64),
                dermoscopic=dermoscopic[at],
                quality=None if statistics is None else statistics[at].quality,
                ood={kind: float(scores[at]) for kind, scores in ood.items()},
            )
            for at in range(count)
        ]

    def as_tensors(self) -> dict[str, NDArray[Any]]:
        """The tensors of `familiarity.safetensors`."""
        tensors = {
            f"{kind}/{name}": each for kind, made in self.ood.items() for name, each in made.as_tensors().items()
        }
        if self.image_type is not None:
            tensors |= {f"{IMAGE_TYPE_HEAD}/{name}": each for name, each in self.image_type.as_tensors().items()}
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Inverse of `as_tensors`; names without a kind are those of older bundles. Raises KeyError, ValueError."""
        grouped: dict[str, dict[str, NDArray[np.float32]]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.rpartition("/")
            grouped.setdefault(kind or DERMOSCOPIC, {})[name] = tensor
        head = grouped.pop(IMAGE_TYPE_HEAD, None)
        return cls(
            {kind: OodDetector.from_tensors(made) for kind, made in grouped.items()},
            None if head is None else ImageTypeHead.from_tensors(head),
        )
