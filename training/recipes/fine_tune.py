"""Own FINE_TUNE, the real one: blocks unfrozen after a frozen warm-up, class-balanced, varied, mixed, averaged.

From ImageNet weights, on isic2019-subset and by the engine pytorch (docs/training-log.md): balanced accuracy 0.74 and
malignant AUC 0.89 on the validation split, served at 224 px with two views; 0.662 (0.601 to 0.719) and 0.853 (0.823
to 0.879) on the sealed test split at 192 px with one. There the head started at zero instead of from the frozen phase.
With half of the mixing and variation it learned by heart from the sixth epoch on.

The default classifier went on from that one with other settings and two teachers, see its model card.
"""

from typing import Final

from diagnoses.inference.network import Architecture
from training.recipes.augmentation import Augmentation
from training.recipes.balance import ClassBalance
from training.recipes.phases import FineTunePhase, FrozenPhase
from training.recipes.recipe import Recipe

FINE_TUNE: Final = Recipe(
    name="FINE_TUNE",
    expected=(
        "Balanced accuracy 0.66 (0.60 to 0.72) and malignant AUC 0.85 on the test split of isic2019-subset at 192 px "
        "with one view; on validation 0.73, and 0.74 when served at 224 px with two views. See docs/training-log.md."
    ),
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
