"""What a network and its ancestors have learned, as hashes of every picture, its file, its lesion and its patient.

The hashes are sealed with the classifier (`learned.safetensors`). So anybody can tell whether a given picture, or
another one of its lesion or patient, was learned, although the data are registered nowhere and nobody can read the ids
from the hashes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

WEIGHTS: Final = "weights"
EPOCHS: Final = "epochs"
FITTED: Final = "fitted"
COMPLETE: Final = "complete"


class PictureIds(NamedTuple):
    """The names that a picture is known by: ISIC id (without `_downsampled`), sha256 of the file, lesion, patient.

    `lesions` are all ids of its lesion: the same lesion has several where data sets were joined. Empty names say
    nothing.
    """

    image: str
    file: str = ""
    lesions: tuple[str, ...] = ()
    patient: str = ""

    def hashes(self) -> list[int]:
        """The first eight bytes of the sha256 of "image:<id>", "file:<sha256>", "lesion:<id>" and "patient:<id>"."""
        names = [("image", self.image), ("file", self.file), ("patient", self.patient)]
        names += [("lesion", lesion) for lesion in self.lesions]
        return [
            int.from_bytes(hashlib.sha256(f"{kind}:{name}".encode()).digest()[:8], "big", signed=True)
            for kind, name in names
            if name
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What the weights of a network, or of any of its ancestors, were fitted to.

    - `weights`: int64, sorted, unique: hashes of the pictures that the weights learned;
    - `epochs`: likewise, of the pictures on which an epoch was chosen;
    - `complete`: whether it holds all of it; False where nobody knows what an ancestor learned;
    - `fitted`: likewise, of the rows to which calibration, gates and metadata table of this sealing were fitted. They
      say nothing of the weights, so they are not passed on to classifiers that go on from these.
    """

    weights: NDArray[np.int64]
    epochs: NDArray[np.int64]
    complete: bool = True
    fitted: NDArray[np.int64] = field(default_factory=lambda: _hashes(()))

    @classmethod
    def of(cls, weights: Iterable[PictureIds], epochs: Iterable[PictureIds] = ()) -> Self:
        """Of pictures that were learned, and pictures that chose an epoch."""
        return cls(_hashes(weights), _hashes(epochs))

    @classmethod
    def unknown(cls) -> Self:
        """Of a network of which nothing is known."""
        return cls(_hashes(()), _hashes(()), complete=False)

    def __or__(self, other: "Learned") -> "Learned":
        return Learned(
            np.union1d(self.weights, other.weights),
            np.union1d(self.epochs, other.epochs),
            self.complete and other.complete,
        )

    def overlap(self, pictures: Iterable[PictureIds], *, chosen: bool = True, fitted: bool = False) -> list[str]:
        """The images of `pictures` that were learned, or of whose lesion or patient another picture was.

        With `chosen` those that only chose an epoch count as well, with `fitted` those of `fitted`.
        """
        parts = [self.weights, *([self.epochs] if chosen else []), *([self.fitted] if fitted else [])]
        known = set(np.concatenate(parts).tolist())
        return [each.image for each in pictures if not known.isdisjoint(each.hashes())]

    def as_tensors(self) -> dict[str, NDArray[Any]]:
        """The tensors of `learned.safetensors`."""
        complete = np.array([self.complete], dtype=np.uint8)
        return {WEIGHTS: self.weights, EPOCHS: self.epochs, FITTED: self.fitted, COMPLETE: complete}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of `as_tensors`. Raises ValueError for anything else."""
        try:
            weights, epochs, complete = tensors[WEIGHTS], tensors[EPOCHS], tensors[COMPLETE]
        except KeyError as error:
            raise ValueError(f"What was learned lacks its part {error}.") from error
        fitted = tensors.get(FITTED, _hashes(()))  # the first bundles did not say
        if any(each.dtype != np.int64 or each.ndim != 1 for each in (weights, epochs, fitted)) or complete.shape != (
            1,
        ):
            raise ValueError("What was learned is lists of whole numbers of 64 bits.")
        return cls(weights, epochs, bool(complete[0]), fitted)


def _hashes(pictures: Iterable[PictureIds]) -> NDArray[np.int64]:
    return np.unique(np.array([each for picture in pictures for each in picture.hashes()], dtype=np.int64))
