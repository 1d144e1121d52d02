"""Own the recipes: how a classifier is trained, as plain frozen data, with the result each is expected to give.

Everything that changes a training's outcome is a field here; `Recipe.as_json` is the snapshot a run and a bundle
keep. A recipe has a frozen phase (the head on cached backbone features) and may have a fine-tuning phase (blocks
unfrozen, BatchNorm frozen). Nothing here imports Keras or Django.
"""

from collections.abc import Mapping
from typing import Final

from training.recipes.augmentation import Augmentation
from training.recipes.balance import ClassBalance
from training.recipes.changing import changed
from training.recipes.errors import RecipeError
from training.recipes.fine_tune import FINE_TUNE
from training.recipes.linear_probe import LINEAR_PROBE
from training.recipes.phases import BATCH_NORMS, EPOCHS_MAX, FineTunePhase, FrozenPhase
from training.recipes.recipe import DEVICES, PRECISIONS, Recipe
from training.recipes.seed import SEED_FINE_TUNE, SEED_HEAD, SEED_TRANSFER
from training.recipes.smoke import SMOKE

__all__ = [
    "BATCH_NORMS",
    "DEVICES",
    "EPOCHS_MAX",
    "FINE_TUNE",
    "LINEAR_PROBE",
    "PRECISIONS",
    "RECIPES",
    "SEED_FINE_TUNE",
    "SEED_HEAD",
    "SEED_TRANSFER",
    "SMOKE",
    "Augmentation",
    "ClassBalance",
    "FineTunePhase",
    "FrozenPhase",
    "Recipe",
    "RecipeError",
    "changed",
]

RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.name: recipe for recipe in (LINEAR_PROBE, FINE_TUNE, SEED_TRANSFER, SEED_FINE_TUNE, SMOKE)
}
"""By name, in the order in which a form offers them."""
