"""A training recipe: its fields, its JSON form, and its identity for checkpoints."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from recognition.inference.network import Architecture
from recognition.inference.preprocessing import FITS, REFERENCE_LONG_SIDE, STRETCH, Preprocessing
from recognition.recipes.phases import Augmentation, ClassBalance, FineTunePhase, FrozenPhase, RecipeError, require

INPUT_SIZES: Final = (16, 600)
"""Least and largest side of the network's input in pixels; EfficientNet-B7, the largest of its family, takes 600."""

REFERENCE_LONG_SIDES: Final = (32, 1024)
"""Least and largest reference scale in pixels; the pictures of the data sets have 200 to 1024."""

PRECISIONS: Final = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
DEVICES: Final = ("auto", "one")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a training. `expected` says in words its last measured result, and on which data.

    - `seed`: for initial weights, order of pictures, dropout and augmentation, 0 to 2^32 - 1;
    - `continues`: starts from the weights of a classifier, including its head, and needs one;
    - `precision`: of the computations in fine-tuning: "float32", "mixed_bfloat16", "mixed_float16", or "auto": 16 bits
      on a GPU with tensor cores for it, float32 elsewhere. Weights are always float32;
    - `devices`: "auto" shares each batch of fine-tuning among all visible GPUs, "one" uses the first;
    - `reference_long_side`: every picture is first reduced to this long side in pixels, in training and in use alike:
      that of the training pictures;
    - `fit`: how a picture becomes square: "stretch" changes its aspect ratio, "pad" adds its reflection at two sides,
      "crop" takes its middle.

    Raises RecipeError for impossible values.
    """

    name: str
    expected: str
    architecture: Architecture
    frozen: FrozenPhase
    fine_tune: FineTunePhase | None = None
    seed: int = 2019
    continues: bool = False
    precision: str = "auto"
    devices: str = "auto"
    reference_long_side: int = REFERENCE_LONG_SIDE
    fit: str = STRETCH

    def __post_init__(self) -> None:
        low, high = INPUT_SIZES
        require(low <= self.architecture.input_size <= high, f"input_size lies in {low} to {high} pixels.")
        low, high = REFERENCE_LONG_SIDES
        require(low <= self.reference_long_side <= high, f"reference_long_side lies in {low} to {high} pixels.")
        require(self.fit in FITS, f"fit is one of {', '.join(FITS)}.")
        require(0 <= self.seed < 2**32, "seed lies in 0 to 2^32 - 1.")
        require(self.precision in PRECISIONS, f"precision is one of {', '.join(PRECISIONS)}.")
        require(self.devices in DEVICES, f"devices is one of {', '.join(DEVICES)}.")
        require(
            self.fine_tune is not None or self.frozen.epochs > 0,
            "frozen.epochs is at least 1 in a recipe without fine-tuning.",
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing, which is sealed with the classifier."""
        return Preprocessing(
            input_size=self.architecture.input_size, reference_long_side=self.reference_long_side, fit=self.fit
        )

    @property
    def needs_imagenet_weights(self) -> bool:
        """Whether the backbone starts from ImageNet weights; the tiny one starts from random weights."""
        return self.architecture.backbone != "tiny"

    def as_json(self) -> dict[str, Any]:
        """Every field, nested, as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`; fields that are missing in an older snapshot get their defaults.

        A field that is gone may be there with the value that had no effect. Raises RecipeError for other fields that
        this version does not know, and for values it refuses.
        """
        try:
            return cls(**_arguments(cls, _without_gone(values)))
        except (TypeError, ValueError, KeyError) as error:
            raise RecipeError(f"This is no recipe of this version: {error}") from error

    def identity(self) -> dict[str, Any]:
        """The identity of a recipe for checkpoints: every field except the text.

        Fields that were added later are left out if they have their default, so that this version continues with older
        checkpoints. Checkpoints of EfficientNetB4 without normalisation are of another network: the key "normalised"
        keeps them out.
        """
        values = self.as_json() | {"expected": ""}
        if self.needs_imagenet_weights:
            values["normalised"] = True
        for place, defaults in LATER_FIELDS.items():
            part: Any = values
            for name in place.split(".") if place else ():
                part = None if part is None else part[name]
            for name, default in defaults.items() if part is not None else ():
                if part[name] == default:
                    del part[name]
        return values


def _defaults(kind: type[Any], *names: str) -> dict[str, Any]:
    return {name: kind.__dataclass_fields__[name].default for name in names}


LATER_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "": _defaults(Recipe, "continues", "precision", "devices", "reference_long_side", "fit"),
    "frozen": _defaults(
        FrozenPhase,
        "optimizer", "beta_1", "beta_2", "epsilon", "plateau_factor", "plateau_patience", "learning_rate_min",
    ),
    "frozen.balance": _defaults(ClassBalance, "focal_gamma", "source_sampling_power"),
    "fine_tune": _defaults(
        FineTunePhase,
        "mixup_alpha", "learn_validation", "batch_norm",
    ),
    "fine_tune.balance": _defaults(ClassBalance, "focal_gamma", "source_sampling_power"),
    "fine_tune.augmentation": _defaults(
        Augmentation,
        "randaugment_operations", "randaugment_magnitude", "detail_min", "jpeg_quality_min",
    ),
}  # fmt: skip
"""Fields added after the first checkpoints, by the group they are in, with the value that means "as before"; see
`Recipe.identity`."""

GONE_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "architecture": {"metadata": False},
    "fine_tune": {"metadata_dropout": 0.5, "metadata_field_dropout": 0.1, "teacher_share": 0.0},
}
"""Fields of older snapshots, by their group, with the value that had no effect: those of the metadata head, and
distillation."""


def _without_gone(values: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot without the fields that are gone and had no effect."""
    kept = dict(values)
    for place, gone in GONE_FIELDS.items():
        if isinstance(part := kept.get(place), Mapping):
            kept[place] = {name: value for name, value in part.items() if name not in gone or gone[name] != value}
    return kept


def _arguments(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        hint: Any = hints[name]
        if isinstance(hint, types.UnionType):  # "FineTunePhase | None"
            hint = None if value is None else typing.get_args(hint)[0]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            arguments[name] = hint(**_arguments(hint, value))
        else:
            arguments[name] = tuple(value) if isinstance(value, list) else value
    return arguments
