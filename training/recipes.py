"""Own the recipes: how a classifier is trained, as plain frozen data, with the result each is expected to give.

Everything that changes a training's outcome is a field here; `Recipe.as_json` is the snapshot a run and a bundle
keep. A recipe has a frozen phase (the head on cached backbone features) and may have a fine-tuning phase (blocks
unfrozen, BatchNorm frozen). Nothing here imports Keras or Django.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from diagnoses.inference.network import Architecture
from diagnoses.inference.preprocessing import Preprocessing


class RecipeError(ValueError):
    """A recipe, or a change to one, makes no sense; the message says which field and why."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RecipeError(message)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a training picture; each picture of a batch draws anew.

    - `flips_and_quarter_turns`: one of the eight symmetries of the square, all equally likely;
    - `crop_area_min`: smallest share of the picture a crop keeps, (0, 1]; `aspect_jitter`: its sides vary by up to
      this factor minus one, >= 0;
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

    - `sampling_power` p: a diagnosis with n pictures is drawn in proportion to n^(1-p), [0, 1];
    - `weight_power` p: its loss is weighted in proportion to n^-p, [0, 1];
    - `logit_adjustment` t: t * log(share of the diagnosis among what is drawn) is added to its logit in training
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

    `standardise` gives every feature mean 0 and deviation 1 over the training pictures and folds both into the first
    dense layer afterwards. The epoch with the best validation score (`best_by`: "balanced_accuracy" or "loss") is
    kept; `patience` epochs without a better one end the phase.
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

    def __post_init__(self) -> None:
        _check_phase(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, self.label_smoothing)
        _require(self.patience >= 1, "patience is at least 1.")
        _require(self.best_by in ("balanced_accuracy", "loss"), 'best_by is "balanced_accuracy" or "loss".')


@dataclass(frozen=True, slots=True)
class FineTunePhase:
    """Blocks unfrozen, BatchNorm frozen throughout (training it with small batches wrecks the network).

    - `pictures_per_epoch`: pictures drawn between two checkpoints; 0 takes as many as the training split has;
    - `frozen_blocks`: leading blocks that stay as they are: 0 trains all, 1 freezes the stem, 2 stem and block 1, ...;
    - `learning_rate` is reached after `warmup_share` of all steps and falls to 0 along a cosine;
    - `ema_momentum`: the weights evaluated and kept are a running average, [0, 1), 0 for none;
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
    _require(epochs >= 1, "epochs is at least 1.")
    _require(1 <= batch_size <= 4096, "batch_size lies in 1 to 4096.")
    _require(0.0 < learning_rate <= 1.0, "learning_rate lies in (0, 1].")
    _require(0.0 <= weight_decay < 1.0, "weight_decay lies in [0, 1).")
    _require(0.0 <= smoothing < 1.0, "label_smoothing lies in [0, 1).")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training. `expected` says in words what it gave when it was last run, and on what."""

    name: str
    expected: str
    architecture: Architecture
    frozen: FrozenPhase
    fine_tune: FineTunePhase | None = None
    seed: int = 2019

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


def changed(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with fields replaced, addressed by dotted names: {"fine_tune.epochs": "3"}.

    Values are text and read as the type of the field they replace. Raises RecipeError for an unknown field, a value
    of another type, or one the recipe refuses.
    """
    for dotted, text in changes.items():
        recipe = _changed(recipe, dotted.split("."), text, dotted)
    return recipe


def _changed(part: Any, path: list[str], text: str, dotted: str) -> Any:
    names = {each.name for each in dataclasses.fields(part)}
    if path[0] not in names or path[0] in ("name", "expected"):
        raise RecipeError(f"There is no field {dotted!r}; here one of {', '.join(sorted(names))} is meant.")
    current = getattr(part, path[0])
    if dataclasses.is_dataclass(current):
        if len(path) == 1:
            raise RecipeError(f"{dotted!r} is a group of fields; name one of them.")
        value = _changed(current, path[1:], text, dotted)
    elif len(path) > 1:
        raise RecipeError(f"There is no field {dotted!r}.")
    else:
        value = _parsed(current, text, dotted)
    try:
        return dataclasses.replace(part, **{path[0]: value})
    except ValueError as error:
        raise RecipeError(f"{dotted}: {error}") from error


def _parsed(current: Any, text: str, dotted: str) -> Any:
    try:
        if isinstance(current, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(current, tuple):
            kind = float if dotted.endswith("dropouts") else int
            return tuple(kind(each) for each in text.split(",") if each.strip())
        return type(current)(text)
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{dotted} cannot be {text!r}.") from error


LINEAR_PROBE: Final = Recipe(
    name="LINEAR_PROBE",
    expected="See docs/model-card.md: the classifier that a fresh clone starts with.",
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
    expected="See docs/training-log.md.",
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

RECIPES: Final[Mapping[str, Recipe]] = {recipe.name: recipe for recipe in (LINEAR_PROBE, FINE_TUNE, SMOKE)}
