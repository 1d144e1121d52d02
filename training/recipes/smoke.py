"""Own SMOKE: every step of the pipeline on the tiny network, for tests and for trying the admin.

Expected, and asserted by the tests: the tiny network beats chance (0.125) by far on eight kinds of made pictures. On
photographs of skin it has no figure, and is of no use to a patient.
"""

from typing import Final

from diagnoses.inference.network import Architecture
from training.recipes.augmentation import Augmentation
from training.recipes.balance import ClassBalance
from training.recipes.phases import FineTunePhase, FrozenPhase
from training.recipes.recipe import Recipe

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
"""Tells eight kinds of made pictures apart within seconds; see the module."""
