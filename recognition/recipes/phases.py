"""The settings of a recipe's phases: epochs, learning rate, class balance, augmentation; and `RecipeError`."""

import math
from dataclasses import dataclass, field
from typing import Final

MAGNITUDE_MAX: Final = 10.0
"""Largest magnitude of RandAugment, the scale of the paper: 0 does nothing."""

JPEG_QUALITY_MAX: Final = 95
"""Highest JPEG quality; Pillow advises against more."""

OPERATIONS_MAX: Final = 8
"""Most operations of RandAugment on one picture; the paper uses 1 to 3."""

BATCH_NORMS: Final = ("frozen", "trained")

BATCH_NORM_BATCH_MIN: Final = 8
"""Least batch size if BatchNorm is trained: mean and variance of fewer pictures are too noisy."""

EPOCHS_MAX: Final = 1000
"""Most epochs; a higher number is a typing error."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Augmentation of training pictures; drawn anew for each picture of a batch.

    - `flips_and_quarter_turns`: one of the eight symmetries of the square, all equally likely;
    - `crop_area_min`: smallest share of the picture a crop keeps, (0, 1];
    - `aspect_jitter`: the sides of a crop vary by up to this factor minus one, >= 0;
    - `brightness`, `contrast`, `saturation`, `hue_shift`: half-widths of the factors drawn around 1 (hue: of the three
      channel gains), [0, 1);
    - `detail_min`: half of the pictures are reduced to between this share of their size and all of it, and enlarged
      again, (0, 1]; 1 for never. So sharpness says nothing of the diagnosis;
    - `jpeg_quality_min`: half of the pictures go through JPEG of a quality between this and 95, 0 for never;
    - `cutout_share`: side of one blanked square as a share of the picture, [0, 1), 0 for none;
    - `randaugment_operations`: number of random operations on each picture (turn by any angle, shear, shift, sharpen or
      soften, stretch or equalise the tones; RandAugment, Cubuk et al. 2020), 0 for none;
    - `randaugment_magnitude`: how strong each of them is, 0 to 10.
    """

    flips_and_quarter_turns: bool = True
    crop_area_min: float = 0.65
    aspect_jitter: float = 0.15
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.15
    hue_shift: float = 0.05
    detail_min: float = 1.0
    jpeg_quality_min: int = 0
    cutout_share: float = 0.0
    randaugment_operations: int = 0
    randaugment_magnitude: float = 5.0

    def __post_init__(self) -> None:
        require(0.0 < self.crop_area_min <= 1.0, "crop_area_min lies in (0, 1].")
        require(0.0 <= self.aspect_jitter < math.inf, "aspect_jitter is not negative.")
        require(0.0 < self.detail_min <= 1.0, "detail_min lies in (0, 1].")
        require(0 <= self.jpeg_quality_min <= JPEG_QUALITY_MAX, f"jpeg_quality_min lies in 0 to {JPEG_QUALITY_MAX}.")
        for name in ("brightness", "contrast", "saturation", "hue_shift", "cutout_share"):
            require(0.0 <= getattr(self, name) < 1.0, f"{name} lies in [0, 1).")
        require(
            0 <= self.randaugment_operations <= OPERATIONS_MAX, f"randaugment_operations lies in 0 to {OPERATIONS_MAX}."
        )
        require(
            0.0 <= self.randaugment_magnitude <= MAGNITUDE_MAX,
            f"randaugment_magnitude lies in 0 to {MAGNITUDE_MAX:g}.",
        )


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """Class balance: settings against rare and hard diagnoses being ignored. They may be combined; 0 switches one off.

    - `sampling_power`: with p, a diagnosis with n pictures is drawn in proportion to n^(1-p), [0, 1];
    - `source_sampling_power`: with q, a source (a public data set and a kind of picture) with n pictures is drawn in
      proportion to n^(1-q), [0, 1];
    - `weight_power`: with p, the loss of a diagnosis with n pictures is weighted in proportion to n^-p, [0, 1];
    - `logit_adjustment`: with t, t * log(share of the diagnosis among what is drawn of the picture's source) is added
      to its logit in training only (Menon et al. 2021, "Long-tail learning via logit adjustment"), >= 0; 1 aims at
      balanced accuracy;
    - `focal_gamma`: with g, the loss of a picture is multiplied by (1 - p)^g, where p is the probability of its
      diagnosis, so that pictures already learned count less (Lin et al. 2017, "Focal loss", with 2), >= 0.
    """

    sampling_power: float = 0.0
    source_sampling_power: float = 0.0
    weight_power: float = 0.0
    logit_adjustment: float = 0.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        require(0.0 <= self.sampling_power <= 1.0, "sampling_power lies in [0, 1].")
        require(0.0 <= self.source_sampling_power <= 1.0, "source_sampling_power lies in [0, 1].")
        require(0.0 <= self.weight_power <= 1.0, "weight_power lies in [0, 1].")
        require(0.0 <= self.logit_adjustment < math.inf, "logit_adjustment is not negative.")
        require(0.0 <= self.focal_gamma < math.inf, "focal_gamma is not negative.")


class RecipeError(ValueError):
    """A recipe, or a change to one, is impossible; the message names the field and says why."""


def require(condition: bool, message: str) -> None:
    """Raise RecipeError with the message unless `condition` is true; the message begins with the name of the field."""
    if not condition:
        raise RecipeError(message)


@dataclass(frozen=True, slots=True)
class FrozenPhase:
    """The frozen phase: the head is trained on cached features.

    - `epochs`: passes over the training pictures; 0 leaves the phase out, to fine-tune a parent with its head;
    - `batch_size`: pictures a step;
    - `learning_rate`: of the optimiser, (0, 1];
    - `weight_decay`: decoupled weight decay ("adamw" alone), [0, 1);
    - `patience`: the phase ends after so many epochs without a better validation score;
    - `standardise`: standardise every feature over the training pictures; afterwards mean and deviation become part of
      the first dense layer;
    - `label_smoothing`: share of the truth spread evenly over all diagnoses, [0, 1);
    - `best_by`: the epoch kept is the best by "balanced_accuracy" or by "loss", both on the validation split;
    - `optimizer`: "adamw", or "adam" as published in 2014, without weight decay;
    - `beta_1`, `beta_2`: decay of the optimiser's two moments, [0, 1);
    - `epsilon`: the small number in the optimiser's denominator, above 0;
    - `plateau_factor`: the learning rate is multiplied by it when the validation loss has not fallen for
      `plateau_patience` epochs, (0, 1); 0 for never;
    - `plateau_patience`: see there, at least 1;
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
        _check_epochs(self.epochs, least=0)
        _check_phase(self.batch_size, self.learning_rate, self.weight_decay, self.label_smoothing)
        require(self.patience >= 1, "patience is at least 1.")
        require(self.best_by in ("balanced_accuracy", "loss"), 'best_by is "balanced_accuracy" or "loss".')
        require(self.optimizer in ("adamw", "adam"), 'optimizer is "adamw" or "adam".')
        require(self.optimizer == "adamw" or self.weight_decay == 0.0, "weight_decay needs the optimizer adamw.")
        require(0.0 <= self.beta_1 < 1.0, "beta_1 lies in [0, 1).")
        require(0.0 <= self.beta_2 < 1.0, "beta_2 lies in [0, 1).")
        require(0.0 < self.epsilon < 1.0, "epsilon lies in (0, 1).")
        require(0.0 <= self.plateau_factor < 1.0, "plateau_factor lies in [0, 1).")
        require(self.plateau_patience >= 1, "plateau_patience is at least 1.")
        require(
            0.0 <= self.learning_rate_min <= self.learning_rate,
            "learning_rate_min is neither negative nor above learning_rate.",
        )


@dataclass(frozen=True, slots=True)
class FineTunePhase:
    """The fine-tuning phase: the whole network is trained.

    - `epochs`: number of epochs of `pictures_per_epoch` pictures, with a checkpoint after each;
    - `batch_size`: pictures a step;
    - `weight_decay`: decoupled, of kernels alone, [0, 1);
    - `label_smoothing`: share of the truth spread evenly over all diagnoses, [0, 1);
    - `clip_norm`: largest global norm of the gradient, above 0;
    - `pictures_per_epoch`: pictures drawn per epoch; 0 for as many as the training split has;
    - `frozen_blocks`: first blocks that are not trained: 0 trains all, 1 freezes the stem, 2 stem and block 1, 7 at
      most;
    - `batch_norm`: "frozen" freezes all of BatchNorm; "trained" normalises each batch in unfrozen blocks by its own
      statistics and trains scale and offset (needs batches of about 16 or more);
    - `learning_rate`: the highest, reached after the warm-up; it falls to 0 along a cosine;
    - `warmup_share`: share of all steps in which the learning rate rises, [0, 1);
    - `ema_momentum`: the weights evaluated and kept are a running average with this momentum, [0, 1), 0 for none;
    - `block7b_gamma`: first value of the last scale of block7b if the ImageNet file has 0;
    - `mixup_alpha`: each picture is blended with another of its batch, labels alike, by a share drawn from
      Beta(a, a) (Zhang et al. 2018, "mixup", who use 0.1 to 0.4), >= 0, 0 for none;
    - `learn_validation`: the validation split is learned as well, and the last epoch is kept instead of the best: for a
      recipe whose settings and length are already chosen. Metrics of the validation split then mean nothing.
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
    mixup_alpha: float = 0.0
    learn_validation: bool = False
    batch_norm: str = "frozen"

    def __post_init__(self) -> None:
        _check_epochs(self.epochs, least=1)
        _check_phase(self.batch_size, self.learning_rate, self.weight_decay, self.label_smoothing)
        require(0.0 <= self.warmup_share < 1.0, "warmup_share lies in [0, 1).")
        require(self.clip_norm > 0.0, "clip_norm is above 0.")
        require(0.0 <= self.ema_momentum < 1.0, "ema_momentum lies in [0, 1).")
        require(0 <= self.frozen_blocks <= 7, "frozen_blocks lies in 0 to 7.")
        require(self.block7b_gamma >= 0.0, "block7b_gamma is not negative.")
        require(self.pictures_per_epoch >= 0, "pictures_per_epoch is not negative.")
        require(0.0 <= self.mixup_alpha < math.inf, "mixup_alpha is not negative.")
        require(self.batch_norm in BATCH_NORMS, f"batch_norm is one of {', '.join(BATCH_NORMS)}.")
        require(
            self.batch_norm == "frozen" or self.batch_size >= BATCH_NORM_BATCH_MIN,
            f"batch_size is at least {BATCH_NORM_BATCH_MIN} where BatchNorm is trained.",
        )


def _check_epochs(epochs: int, *, least: int) -> None:
    require(least <= epochs <= EPOCHS_MAX, f"epochs lies in {least} to {EPOCHS_MAX}.")


def _check_phase(batch_size: int, learning_rate: float, weight_decay: float, smoothing: float) -> None:
    for name, value in (
        ("learning_rate", learning_rate),
        ("weight_decay", weight_decay),
        ("label_smoothing", smoothing),
    ):
        require(math.isfinite(value), f"{name} is a number.")
    require(1 <= batch_size <= 4096, "batch_size lies in 1 to 4096.")
    require(0.0 < learning_rate <= 1.0, "learning_rate lies in (0, 1].")
    require(0.0 <= weight_decay < 1.0, "weight_decay lies in [0, 1).")
    require(0.0 <= smoothing < 1.0, "label_smoothing lies in [0, 1).")
