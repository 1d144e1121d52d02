"""Own the recipes: how a classifier is trained, as plain frozen data, with the result each is expected to give.

Everything that changes a training's outcome is a field here; `Recipe.as_json` is the snapshot a run and a bundle
keep. A recipe has a frozen phase (the head on cached backbone features) and may have a fine-tuning phase (blocks
unfrozen, BatchNorm frozen). Nothing here imports Keras or Django.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from diagnoses.inference.network import Architecture
from diagnoses.inference.preprocessing import Preprocessing

EPOCHS_MAX: Final = 1000
"""More epochs than any recipe here could use: a slip of the keyboard, not a plan."""

INPUT_SIZES: Final = (16, 600)
"""Least and largest side of the network's input in pixels; EfficientNet-B7, the largest of its family, takes 600."""


class RecipeError(ValueError):
    """A recipe, or a change to one, makes no sense; the message says which field and why."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RecipeError(message)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a training picture; each picture of a batch draws anew.

    - `flips_and_quarter_turns`: one of the eight symmetries of the square, all equally likely;
    - `crop_area_min`: smallest share of the picture a crop keeps, (0, 1];
    - `aspect_jitter`: the sides of a crop vary by up to this factor minus one, >= 0;
    - `brightness`, `contrast`, `saturation`, `hue_shift`: half-widths of the factors drawn around 1 (hue: of the three
      channel gains), [0, 1);
    - `cutout_share`: side of one blanked square as a share of the picture, [0, 1), 0 for none.
    """

    flips_and_quarter_turns: bool = True
    crop_area_min: float = 0.65
    aspect_jitter: float = 0.15
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.15
    hue_shift: float = 0.05
    cutout_share: float = 0.0

    def __post_init__(self) -> None:
        _require(0.0 < self.crop_area_min <= 1.0, "crop_area_min lies in (0, 1].")
        _require(self.aspect_jitter >= 0.0, "aspect_jitter is not negative.")
        for name in ("brightness", "contrast", "saturation", "hue_shift", "cutout_share"):
            _require(0.0 <= getattr(self, name) < 1.0, f"{name} lies in [0, 1).")


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """How rare diagnoses get their say. All three may be combined; all zero leaves the data as it is.

    - `sampling_power`: with p, a diagnosis with n pictures is drawn in proportion to n^(1-p), [0, 1];
    - `weight_power`: with p, the loss of a diagnosis with n pictures is weighted in proportion to n^-p, [0, 1];
    - `logit_adjustment`: with t, t * log(share of the diagnosis among what is drawn) is added to its logit in training
      only (Menon et al. 2021, "Long-tail learning via logit adjustment"), >= 0; 1 aims at balanced accuracy.
    """

    sampling_power: float = 0.0
    weight_power: float = 0.0
    logit_adjustment: float = 0.0

    def __post_init__(self) -> None:
        _require(0.0 <= self.sampling_power <= 1.0, "sampling_power lies in [0, 1].")
        _require(0.0 <= self.weight_power <= 1.0, "weight_power lies in [0, 1].")
        _require(self.logit_adjustment >= 0.0, "logit_adjustment is not negative.")


@dataclass(frozen=True, slots=True)
class FrozenPhase:
    """The head on features computed once.

    - `epochs`: passes over the training pictures;
    - `batch_size`: pictures a step;
    - `learning_rate`: of the optimiser, (0, 1];
    - `weight_decay`: decoupled weight decay ("adamw" alone), [0, 1);
    - `patience`: this many epochs without a better validation score end the phase;
    - `standardise`: give every feature mean 0 and deviation 1 over the training pictures, and fold both into the first
      dense layer afterwards;
    - `label_smoothing`: share of the truth spread evenly over all diagnoses, [0, 1);
    - `best_by`: the epoch kept is the best by "balanced_accuracy" or by "loss", both on the validation split;
    - `optimizer`: "adamw", or "adam" as published in 2014, without weight decay;
    - `beta_1`, `beta_2`: decay of the optimiser's two moments, [0, 1);
    - `epsilon`: the small number in the optimiser's denominator, above 0;
    - `plateau_factor`: what the learning rate is multiplied by when the validation loss has not fallen for
      `plateau_patience` epochs, (0, 1); 0 leaves it alone;
    - `plateau_patience`: epochs to wait for that;
    - `learning_rate_min`: the rate never falls below it.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    patience: int = 10
    standardise: bool = True
    label_smoothing: float = 0.0
    best_by: str = "balanced_accuracy"
    balance: ClassBalance = field(default_factory=ClassBalance)
    optimizer: str = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    plateau_factor: float = 0.0
    plateau_patience: int = 2
    learning_rate_min: float = 0.0

    def __post_init__(self) -> None:
        _check_phase(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, self.label_smoothing)
        _require(self.patience >= 1, "patience is at least 1.")
        _require(self.best_by in ("balanced_accuracy", "loss"), 'best_by is "balanced_accuracy" or "loss".')
        _require(self.optimizer in ("adamw", "adam"), 'optimizer is "adamw" or "adam".')
        _require(self.optimizer == "adamw" or self.weight_decay == 0.0, "weight_decay needs the optimizer adamw.")
        _require(0.0 <= self.beta_1 < 1.0, "beta_1 lies in [0, 1).")
        _require(0.0 <= self.beta_2 < 1.0, "beta_2 lies in [0, 1).")
        _require(0.0 < self.epsilon < 1.0, "epsilon lies in (0, 1).")
        _require(0.0 <= self.plateau_factor < 1.0, "plateau_factor lies in [0, 1).")
        _require(self.plateau_patience >= 1, "plateau_patience is at least 1.")
        _require(
            0.0 <= self.learning_rate_min <= self.learning_rate,
            "learning_rate_min is neither negative nor above learning_rate.",
        )


@dataclass(frozen=True, slots=True)
class FineTunePhase:
    """Blocks unfrozen, BatchNorm frozen throughout (training it with small batches wrecks the network).

    - `epochs`: how many times `pictures_per_epoch` are drawn, with a checkpoint after each;
    - `batch_size`: pictures a step;
    - `weight_decay`: decoupled, of kernels alone, [0, 1);
    - `label_smoothing`: share of the truth spread evenly over all diagnoses, [0, 1);
    - `clip_norm`: the gradient of a step is shortened to this length, above 0;
    - `pictures_per_epoch`: pictures drawn between two checkpoints; 0 takes as many as the training split has;
    - `frozen_blocks`: leading blocks that stay as they are: 0 trains all, 1 freezes the stem, 2 stem and block 1, 7 at
      most;
    - `learning_rate`: the highest, reached after the warm-up; it falls to 0 along a cosine;
    - `warmup_share`: share of all steps in which the learning rate rises, [0, 1);
    - `ema_momentum`: the weights evaluated and kept are a running average with this momentum, [0, 1), 0 for none;
    - `block7b_gamma`: start of block7b's last scale where the ImageNet file has it at 0.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    warmup_share: float = 0.05
    label_smoothing: float = 0.0
    clip_norm: float = 1.0
    ema_momentum: float = 0.99
    frozen_blocks: int = 0
    block7b_gamma: float = 0.1
    pictures_per_epoch: int = 0
    balance: ClassBalance = field(default_factory=ClassBalance)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        _check_phase(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, self.label_smoothing)
        _require(0.0 <= self.warmup_share < 1.0, "warmup_share lies in [0, 1).")
        _require(self.clip_norm > 0.0, "clip_norm is above 0.")
        _require(0.0 <= self.ema_momentum < 1.0, "ema_momentum lies in [0, 1).")
        _require(0 <= self.frozen_blocks <= 7, "frozen_blocks lies in 0 to 7.")
        _require(self.block7b_gamma >= 0.0, "block7b_gamma is not negative.")
        _require(self.pictures_per_epoch >= 0, "pictures_per_epoch is not negative.")


def _check_phase(epochs: int, batch_size: int, learning_rate: float, weight_decay: float, smoothing: float) -> None:
    for name, value in (
        ("learning_rate", learning_rate),
        ("weight_decay", weight_decay),
        ("label_smoothing", smoothing),
    ):
        _require(math.isfinite(value), f"{name} is a number.")
    _require(1 <= epochs <= EPOCHS_MAX, f"epochs lies in 1 to {EPOCHS_MAX}.")
    _require(1 <= batch_size <= 4096, "batch_size lies in 1 to 4096.")
    _require(0.0 < learning_rate <= 1.0, "learning_rate lies in (0, 1].")
    _require(0.0 <= weight_decay < 1.0, "weight_decay lies in [0, 1).")
    _require(0.0 <= smoothing < 1.0, "label_smoothing lies in [0, 1).")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training. `expected` says in words what it gave when it was last run, and on what.

    - `seed`: of the first weights, the order of pictures, dropout and augmentation; 0 or more;
    - `continues`: starts from the weights of a classifier, head included, and refuses to start without one.
    """

    name: str
    expected: str
    architecture: Architecture
    frozen: FrozenPhase
    fine_tune: FineTunePhase | None = None
    seed: int = 2019
    continues: bool = False

    def __post_init__(self) -> None:
        low, high = INPUT_SIZES
        _require(low <= self.architecture.input_size <= high, f"input_size lies in {low} to {high} pixels.")
        _require(0 <= self.seed < 2**32, "seed lies in 0 to 2^32 - 1.")

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing that goes with the architecture."""
        return Preprocessing(input_size=self.architecture.input_size)

    @property
    def needs_imagenet_weights(self) -> bool:
        """Whether the backbone starts from ImageNet; the tiny one starts from random weights."""
        return self.architecture.backbone != "tiny"

    def as_json(self) -> dict[str, Any]:
        """Every field, nested, as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_json`; fields that came later than the snapshot have their defaults.

        Raises RecipeError for a field this version does not know, and for values it refuses.
        """
        try:
            return cls(**_arguments(cls, values))
        except (TypeError, ValueError, KeyError) as error:
            raise RecipeError(f"This is no recipe of this version: {error}") from error

    def identity(self) -> dict[str, Any]:
        """What a checkpoint is bound to: every field but the words.

        Fields added after checkpoints were first written count only where they differ from their default, so that
        a newer version goes on with an older one's checkpoint.
        """
        values = self.as_json() | {"expected": ""}
        _drop_defaults(values, LATER_FIELDS["recipe"])
        _drop_defaults(values["frozen"], LATER_FIELDS["frozen"])
        return values


LATER_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "recipe": {"continues": False},
    "frozen": {
        name: FrozenPhase.__dataclass_fields__[name].default
        for name in (
            "optimizer", "beta_1", "beta_2", "epsilon", "plateau_factor", "plateau_patience", "learning_rate_min",
        )
    },
}  # fmt: skip
"""Fields added after the first checkpoints, with the value that means "as before"; see `Recipe.identity`."""


def _drop_defaults(values: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for name, default in defaults.items():
        if values[name] == default:
            del values[name]


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


def changed(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with fields replaced, addressed by dotted names: {"fine_tune.epochs": "3"}.

    Values are text and read as the type of the field they replace; all are put in at once, so that fields which
    belong together (head_units and head_dropouts) can change together. Raises RecipeError for an unknown field, a
    value of another type, or one the recipe refuses.
    """
    tree: dict[str, Any] = {}
    for dotted, text in changes.items():
        *groups, last = dotted.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
            if not isinstance(branch, dict):
                raise RecipeError(f"There is no field {dotted!r}.")
        if isinstance(branch.get(last), dict):
            raise RecipeError(f"{last!r} is a group of fields; name one of them.")
        branch[last] = text
    result: Recipe = _changed(recipe, tree, "")
    return result


def _changed(part: Any, tree: Mapping[str, Any], prefix: str) -> Any:
    names = {each.name for each in dataclasses.fields(part)} - {"name", "expected"}
    values = {}
    for name, change in tree.items():
        dotted = f"{prefix}{name}"
        if name not in names:
            raise RecipeError(f"There is no field {dotted!r}; here one of {', '.join(sorted(names))} is meant.")
        current = getattr(part, name)
        if dataclasses.is_dataclass(current):
            if not isinstance(change, dict):
                raise RecipeError(f"{dotted!r} is a group of fields; name one of them.")
            values[name] = _changed(current, change, f"{dotted}.")
        elif isinstance(change, dict) or current is None:
            raise RecipeError(f"There is no field {dotted!r} to change.")
        else:
            values[name] = _parsed(current, change, dotted)
    try:
        return dataclasses.replace(part, **values)
    except RecipeError as error:
        # The outer levels only pass on what an inner one has already said.
        raise error if error.args and ": " in str(error) else RecipeError(f"{_place(prefix, tree)}: {error}") from error
    except ValueError as error:
        raise RecipeError(f"{_place(prefix, tree)}: {error}") from error


def _place(prefix: str, tree: Mapping[str, Any]) -> str:
    return f"{prefix}{next(iter(tree))}" if len(tree) == 1 else prefix.rstrip(".") or "recipe"


def _parsed(current: Any, text: str, dotted: str) -> Any:
    try:
        if isinstance(current, bool):
            return {"true": True, "false": False}[text.strip().lower()]
        if isinstance(current, tuple):
            kind = float if dotted.endswith("dropouts") else int
            return tuple(kind(each) for each in text.split(",") if each.strip())
        return type(current)(text.strip())
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{dotted} cannot be {text!r}.") from error


LINEAR_PROBE: Final = Recipe(
    name="LINEAR_PROBE",
    expected="See docs/training-log.md: the first default, in minutes.",
    architecture=Architecture(backbone="efficientnetb4", input_size=224, head_dropouts=(0.3,)),
    frozen=FrozenPhase(
        epochs=60,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        patience=15,
        balance=ClassBalance(logit_adjustment=1.0),
    ),
)
"""A class-balanced linear layer on frozen ImageNet features: one pass over the pictures, then seconds."""

FINE_TUNE: Final = Recipe(
    name="FINE_TUNE",
    expected="See docs/model-card.md, where a short one is measured, and docs/training-log.md.",
    architecture=Architecture(backbone="efficientnetb4", input_size=128, head_dropouts=(0.3,)),
    frozen=FrozenPhase(
        epochs=40,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        balance=ClassBalance(logit_adjustment=1.0),
    ),
    fine_tune=FineTunePhase(
        epochs=16,
        batch_size=32,
        learning_rate=4e-4,
        pictures_per_epoch=3200,
        balance=ClassBalance(sampling_power=0.5, logit_adjustment=1.0),
    ),
)
"""The real one: all blocks unfrozen after a frozen warm-up, class-balanced, augmented, averaged."""

SEED_HEAD: Final = Architecture(
    backbone="efficientnetb4", input_size=224, head_units=(1024, 512, 256), head_dropouts=(0.0, 0.5, 0.3, 0.0)
)
"""The published head: Dense 1024 relu, Dropout 0.5, Dense 512 relu, Dropout 0.3, Dense 256 relu, Dense 8 softmax."""

SEED_TRANSFER: Final = Recipe(
    name="SEED_TRANSFER",
    expected="Accuracy 0.74, balanced accuracy 0.32 on isic2019-subset: unbalanced, so rare diagnoses are not found.",
    architecture=SEED_HEAD,
    frozen=FrozenPhase(
        epochs=10,
        batch_size=32,
        learning_rate=1e-3,  # Keras's Adam() as it comes
        patience=10,
        standardise=False,
        best_by="loss",
        optimizer="adam",
    ),
)
"""The published transfer learning: frozen ImageNet backbone, its dense head, Adam, EarlyStopping on val_loss."""

SEED_FINE_TUNE: Final = Recipe(
    name="SEED_FINE_TUNE",
    expected="After SEED_TRANSFER: accuracy 0.74, balanced accuracy 0.33 on isic2019-subset. Nothing is unfrozen.",
    architecture=SEED_HEAD,
    frozen=FrozenPhase(
        epochs=3,
        batch_size=32,
        learning_rate=1e-4,
        patience=5,
        standardise=False,
        best_by="loss",
        optimizer="adam",
        plateau_factor=0.2,
        plateau_patience=2,
        learning_rate_min=1e-6,
    ),
    continues=True,
)
"""The published "fine-tuning": the same head three epochs longer at a smaller rate; the backbone stays frozen."""

SMOKE: Final = Recipe(
    name="SMOKE",
    expected="Seconds on any machine; learns to tell eight made pictures apart; of no use to a patient.",
    architecture=Architecture(backbone="tiny", input_size=32, head_units=(16,), head_dropouts=(0.0, 0.1)),
    frozen=FrozenPhase(epochs=8, batch_size=32, learning_rate=5e-3, balance=ClassBalance(weight_power=1.0)),
    fine_tune=FineTunePhase(
        epochs=6,
        batch_size=16,
        learning_rate=1e-2,
        ema_momentum=0.5,
        balance=ClassBalance(sampling_power=0.5, logit_adjustment=1.0),
        augmentation=Augmentation(crop_area_min=0.9),
    ),
)
"""Every step of the pipeline on the tiny network, for tests and for trying the admin."""

RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.name: recipe for recipe in (LINEAR_PROBE, FINE_TUNE, SEED_TRANSFER, SEED_FINE_TUNE, SMOKE)
}
