"""The second gate, out-of-distribution (OOD) detection: is a picture like the training pictures?

The OOD score is a sum of log distances, each standardised on the calibration pictures:

- deep: the norm of the standardised pooled features outside the main directions of the training pictures (the residual
  of Wang et al. 2022, "ViM", without its logit part);
- colour: the Mahalanobis distance (Lee et al. 2018) of six numbers on hue and on the correlation of fine detail between
  the colour channels. It finds noise, drawings and print; pooled features alone do not find noise;
- other, in bundles that had pictures of none of the eight diagnoses to learn from: the log odds that the picture is one
  of them, by a logistic regression on the pooled features. It counts twice, and finds what is skin but no such lesion.

Methods were compared on the first fine-tuned network, each calibrated to refuse 2.5 % of calibration lesions, together
with the quality gate, on 39 pictures of other things and 44 crops of them. Found: energy of the logits 23 and 18 %,
distance to the fifth nearest training picture 51 and 68 %, Mahalanobis on 128 directions 69 and 80 %, the residual 79
and 86 %, this sum 100 and 95 %. Texture statistics found everything, but also refused every second photo of a lesion
saved at another resolution, so they are not used. The method was chosen on these pictures, so the shares are
optimistic. Neither distance depends on lightness: pictures at half their light pass as before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.assessment import Gate, GateResult
from recognition.inference.preprocessing import to_reference

METHOD: Final = "feature residual + colour distance"
METHOD_WITH_OTHERS: Final = f"{METHOD} + 2 x log odds of other pictures"
TERM_WEIGHTS: Final = np.array([1.0, 1.0, 2.0])
"""Of deep, colour and other in the score."""

DIRECTIONS_MAX: Final = 128
"""Most main directions outside which the residual is taken. 64 to 256 give nearly the same."""

PICTURES_PER_DIRECTION: Final = 8
"""Training pictures that are needed for each main direction."""

DEVIATION_MIN: Final = 1e-3
"""Least standard deviation of a feature, so that a constant feature does not decide alone."""

OTHERS: Final = "others"
"""The tensor that only detectors have that learned from other pictures."""

COLOUR_SIZE: Final = 6
BLACK_LEVEL: Final = 30.0
"""Added to the sum of the channels before dividing by it: black pixels have no hue."""
HUE_FLOOR: Final = 0.002
CORRELATION_LIMIT: Final = 0.999
DITHER: Final = 1e-3
"""Noise added to the fine detail, far below one grey level: a flat picture would have no correlation."""
REGULARISATION: Final = 1e-6

DISTANCE_MIN: Final = 1e-12
"""Least distance of which the logarithm is taken."""


def colour_statistics(picture: Image.Image, *, reference_long_side: int) -> NDArray[np.float64]:
    """Six numbers (6,) of an upright RGB picture at its reference scale.

    Correlation of fine detail red-green and green-blue (as arctanh), mean hue differences red-green and green-blue as a
    share of all light, and the logarithms of their spreads.
    """
    pixels = np.asarray(to_reference(picture, long_side=reference_long_side), dtype=np.float64)
    if min(pixels.shape[:2]) < 3:  # too small for the fine detail inside the border
        pixels = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
    detail = (
        4.0 * pixels[1:-1, 1:-1] - pixels[:-2, 1:-1] - pixels[2:, 1:-1] - pixels[1:-1, :-2] - pixels[1:-1, 2:]
    ).reshape(-1, 3)
    detail = detail + DITHER * np.random.default_rng(0).normal(size=detail.shape)
    together = np.asarray(np.corrcoef(detail.T))
    light = pixels.sum(axis=2) + BLACK_LEVEL
    red_green = (pixels[..., 0] - pixels[..., 1]) / light
    green_blue = (pixels[..., 1] - pixels[..., 2]) / light
    return np.array(
        [
            np.arctanh(np.clip(together[0, 1], -CORRELATION_LIMIT, CORRELATION_LIMIT)),
            np.arctanh(np.clip(together[1, 2], -CORRELATION_LIMIT, CORRELATION_LIMIT)),
            red_green.mean(),
            green_blue.mean(),
            np.log(red_green.std() + HUE_FLOOR),
            np.log(green_blue.std() + HUE_FLOOR),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class OodDetector:
    """The OOD detector of a bundle, fitted on training pictures.

    - `centre`, `deviation`: (C,) of the pooled features; `directions`: (K, C), orthonormal within float16;
    - `colour_centre`: (6,), `colour_precision`: (6, 6);
    - `scale`: (2, 2), rows deep and colour: mean and standard deviation of the log distance over calibration pictures;
    - `others`: (C,), the direction of the features towards pictures of none of the eight diagnoses, or None; `scale`
      then has a third row.
    """

    centre: NDArray[np.float32]
    deviation: NDArray[np.float32]
    directions: NDArray[np.float32]
    colour_centre: NDArray[np.float32]
    colour_precision: NDArray[np.float32]
    scale: NDArray[np.float32]
    others: NDArray[np.float32] | None = None

    @classmethod
    def fit(
        cls,
        *,
        features: NDArray[np.floating],
        colours: NDArray[np.floating],
        calibration_features: NDArray[np.floating],
        calibration_colours: NDArray[np.floating],
        others: NDArray[np.floating] | None = None,
    ) -> Self:
        """Fit on features (N, C) and colours (N, 6) of training pictures.

        `calibration_features` (M, C) and `calibration_colours` (M, 6) give the scales of the distances; `others` is the
        direction towards other pictures, if known. Raises ValueError if N or M is below 2.
        """
        if min(len(features), len(calibration_features)) < 2:  # a deviation needs two
            raise ValueError("An OOD detector needs at least two pictures to learn from and two to be scaled on.")
        centre = features.mean(axis=0)
        deviation = np.maximum(features.std(axis=0), DEVIATION_MIN)
        standardised = (np.asarray(features, dtype=np.float64) - centre) / deviation
        count = min(DIRECTIONS_MAX, len(features) // PICTURES_PER_DIRECTION, features.shape[1] // 4)
        directions = np.linalg.svd(standardised, full_matrices=False)[2][:count]
        spread = np.cov(colours.T) + REGULARISATION * np.eye(COLOUR_SIZE)
        unscaled = cls(
            centre=np.asarray(centre, dtype=np.float32),
            deviation=np.asarray(deviation, dtype=np.float32),
            # Rounded as they will be stored, so that all later values are computed from the stored ones.
            directions=directions.astype(np.float16).astype(np.float32),
            colour_centre=np.asarray(colours.mean(axis=0), dtype=np.float32),
            colour_precision=np.asarray(np.linalg.inv(spread), dtype=np.float32),
            scale=np.tile(np.array([0.0, 1.0], dtype=np.float32), (2 if others is None else 3, 1)),
            others=None if others is None else np.asarray(others, dtype=np.float32),
        )
        distances = unscaled.distances(calibration_features, calibration_colours)
        scale = np.stack([distances.mean(axis=0), np.maximum(distances.std(axis=0), DEVIATION_MIN)], axis=1)
        return cls.from_tensors(unscaled.as_tensors() | {"scale": scale.astype(np.float32)})

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of `as_tensors`. Raises ValueError when one is missing or of another shape."""
        names = set(cls.__dataclass_fields__) - {OTHERS}
        if set(tensors) - {OTHERS} != names:
            raise ValueError(f"An OOD detector (familiarity) consists of exactly {', '.join(sorted(names))}.")
        made = cls(**{name: np.asarray(tensor, dtype=np.float32) for name, tensor in tensors.items()})
        (width,) = made.centre.shape or (0,)
        expected = {
            "centre": (width,),
            "deviation": (width,),
            "directions": (len(made.directions), width),
            "colour_centre": (COLOUR_SIZE,),
            "colour_precision": (COLOUR_SIZE, COLOUR_SIZE),
            "scale": (2 if made.others is None else 3, 2),
            **({} if made.others is None else {OTHERS: (width,)}),
        }
        for name, shape in expected.items():
            value = getattr(made, name)
            if value.shape != shape or not np.all(np.isfinite(value)):
                raise ValueError(
                    f"{name} of the OOD detector (familiarity) has the shape {value.shape}; {shape} is expected."
                )
        if np.any(made.deviation <= 0) or np.any(made.scale[:, 1] <= 0):
            raise ValueError("The deviations of an OOD detector (familiarity) are above 0.")
        return made

    def as_tensors(self) -> dict[str, NDArray[Any]]:
        """The tensors for the bundle: the directions as float16, everything else float32."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        tensors: dict[str, NDArray[Any]] = {name: each for name, each in fields.items() if each is not None}
        return tensors | {"directions": self.directions.astype(np.float16)}

    def distances(self, features: NDArray[np.floating], colours: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log distances (N, 2) or (N, 3), deep, colour and other, of features (N, C) and colour statistics (N, 6)."""
        standardised = (np.asarray(features, dtype=np.float64) - self.centre) / self.deviation
        residual = standardised - (standardised @ self.directions.T) @ self.directions
        deep = np.mean(residual**2, axis=1)
        away = np.asarray(colours, dtype=np.float64) - self.colour_centre
        colour = np.einsum("ni,ij,nj->n", away, self.colour_precision, away)
        found = np.log(np.maximum(np.stack([deep, colour], axis=1), DISTANCE_MIN))
        if self.others is not None:  # the odds' constant is in the scale
            found = np.column_stack([found, np.asarray(features, dtype=np.float64) @ self.others])
        return np.asarray(found, dtype=np.float64)

    def score(self, features: NDArray[np.floating], colours: NDArray[np.floating]) -> NDArray[np.float64]:
        """The OOD score (N,): the weighted sum of standardised distances, on average 0 over calibration pictures."""
        mean, deviation = self.scale.T
        standardised = (self.distances(features, colours) - mean) / deviation
        return np.asarray(standardised @ TERM_WEIGHTS[: len(mean)], dtype=np.float64)


def check_ood(score: float, limit: float) -> GateResult:
    """The result of the second gate: a score above the limit is refused."""
    if score > limit:
        return GateResult(Gate.OOD, False, "unfamiliar", score, limit)
    return GateResult(Gate.OOD, True, "", score, limit)


def statistics_of(pictures: Sequence[Image.Image], *, reference_long_side: int) -> NDArray[np.float64]:
    """`colour_statistics` of several pictures, (N, 6)."""
    rows = [colour_statistics(picture, reference_long_side=reference_long_side) for picture in pictures]
    return np.stack(rows) if rows else np.empty((0, COLOUR_SIZE))
