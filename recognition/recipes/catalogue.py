"""The recipes of this application, with their measured results."""

from dataclasses import replace
from typing import Final

from recognition.inference.network import Architecture
from recognition.inference.preprocessing import CROP
from recognition.recipes.phases import Augmentation, ClassBalance, FineTunePhase, FrozenPhase
from recognition.recipes.recipe import Recipe

FINE_LONG_SIDE: Final = 400
"""Pixels; the long side of the pictures of isic2019-subset-400px and milk10k, which new recipes learn.

They crop (`python -m benchmarks.picture_fit`, 200 pictures of the calibration split, a classifier that has only learned
stretched ones): a quarter turn changes the advice of 5.0 % of pictures, with stretching 9.0 %, with padding 7.5 %;
balanced accuracy 0.797, 0.806, 0.778; the AUC of cancers is 0.915 each time. Of 426 outlined lesions of ISIC 2019, 7 %
lose more than a tenth of their area, none a quarter; the smartphone photos of PAD-UFES-20 are square.
"""

FINE_TUNE: Final = Recipe(
    name="FINE_TUNE",
    expected=(
        "Measured with reference_long_side 200 and fit stretch: balanced accuracy 0.66 (0.60 to 0.72) and malignant "
        "AUC 0.85 on the test split of isic2019-subset at 192 px with one view; on validation 0.73, and 0.74 when "
        "served at 224 px with two views. See docs/training-log.md."
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
    reference_long_side=FINE_LONG_SIDE,
    fit=CROP,
)

_TWO_KINDS: Final = FINE_TUNE.fine_tune
assert _TWO_KINDS is not None

STAGE_192: Final = replace(
    FINE_TUNE,
    name="STAGE_192",
    expected="The first stage of the default classifier. See docs/training-log.md.",
    frozen=replace(FINE_TUNE.frozen, balance=ClassBalance(source_sampling_power=0.5, logit_adjustment=1.0)),
    fine_tune=replace(
        _TWO_KINDS,
        epochs=5,
        pictures_per_epoch=12_800,
        learning_rate=6e-4,
        ema_momentum=0.997,
        mixup_alpha=0.2,
        balance=ClassBalance(sampling_power=0.4, source_sampling_power=0.5, logit_adjustment=1.0),
        augmentation=replace(
            _TWO_KINDS.augmentation,
            hue_shift=0.1,
            cutout_share=0.2,
            randaugment_magnitude=5.0,
            detail_min=0.4,
            jpeg_quality_min=40,
        ),
    ),
)
"""From ImageNet weights at 192 px, on several sources of pictures joined. Each stage takes at most 100 minutes on two
cores, whatever the data. Epochs of later stages are shorter: a checkpoint every quarter of an hour."""


def _later_stage(name: str, *, input_size: int, epochs: int, learning_rate: float, seed: int) -> Recipe:
    """A stage that goes on from the one before it. It has its own seed, and so draws and varies pictures anew."""
    assert STAGE_192.fine_tune is not None
    return replace(
        STAGE_192,
        name=name,
        expected=f"Goes on from a classifier at {input_size} px. See docs/training-log.md.",
        architecture=replace(STAGE_192.architecture, input_size=input_size),
        frozen=replace(STAGE_192.frozen, epochs=0),
        fine_tune=replace(STAGE_192.fine_tune, epochs=epochs, pictures_per_epoch=6_400, learning_rate=learning_rate),
        seed=seed,
        continues=True,
    )


STAGE_256: Final = _later_stage("STAGE_256", input_size=256, epochs=6, learning_rate=5e-4, seed=2020)
STAGE_300: Final = _later_stage("STAGE_300", input_size=300, epochs=4, learning_rate=2.5e-4, seed=2021)

DEFAULT_STAGES: Final = (STAGE_192, STAGE_256, STAGE_300)
"""The stages that make the default classifier, one after the other; see `recognition.fit.stages`."""

LINEAR_PROBE: Final = Recipe(
    name="LINEAR_PROBE",
    expected=(
        "Minutes. Measured with reference_long_side 200 and fit stretch: balanced accuracy 0.55 (0.49 to 0.61), "
        "malignant AUC 0.81 on the test split of isic2019-subset."
    ),
    architecture=Architecture(backbone="efficientnetb4", input_size=224, head_dropouts=(0.3,)),
    frozen=FrozenPhase(
        epochs=60,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        patience=15,
        balance=ClassBalance(logit_adjustment=1.0),
    ),
    reference_long_side=FINE_LONG_SIDE,
    fit=CROP,
)
"""Balanced accuracy 0.55 on the test split of isic2019-subset, measured."""

SEED_HEAD: Final = Architecture(
    backbone="efficientnetb4", input_size=224, head_units=(1024, 512, 256), head_dropouts=(0.0, 0.5, 0.3, 0.0)
)
"""The published head: Dense 1024 relu, Dropout 0.5, Dense 512 relu, Dropout 0.3, Dense 256 relu, Dense 8 softmax."""

SEED_TRANSFER: Final = Recipe(
    name="SEED_TRANSFER",
    expected=(
        "Accuracy 0.75, balanced accuracy 0.33 (0.30 to 0.38), malignant AUC 0.84 on the test split of "
        "isic2019-subset; unbalanced, so rare diagnoses are hardly found."
    ),
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
"""The published transfer learning: frozen ImageNet backbone, its dense head, Adam, EarlyStopping on val_loss.

Measured: accuracy 0.752, balanced accuracy 0.334 on the test split of isic2019-subset.
"""

SEED_FINE_TUNE: Final = Recipe(
    name="SEED_FINE_TUNE",
    expected=(
        "After SEED_TRANSFER: accuracy 0.76, balanced accuracy 0.38 (0.33 to 0.42), malignant AUC 0.85 on the test "
        "split of isic2019-subset. Nothing is unfrozen."
    ),
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
"""The published "fine-tuning": the same head three epochs longer at a smaller rate; the backbone stays frozen.

Measured: accuracy 0.756, balanced accuracy 0.375 on the test split of isic2019-subset.
"""

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
"""Separates eight kinds of generated pictures in seconds: for tests."""
