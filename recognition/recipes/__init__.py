"""Own the recipes: how a classifier is trained, as plain frozen data, with the result each is expected to give.

Everything that changes a training's outcome is a field here; `Recipe.as_json` is the snapshot a run and a bundle
keep. A recipe has a frozen phase (the head on cached backbone features) and may have a fine-tuning phase (blocks
unfrozen, BatchNorm frozen). Nothing here imports Keras or Django.
"""

from collections.abc import Mapping
from typing import Final

from recognition.recipes.catalogue import FINE_TUNE, LINEAR_PROBE, SEED_FINE_TUNE, SEED_HEAD, SEED_TRANSFER, SMOKE
from recognition.recipes.changing import changed
from recognition.recipes.phases import (
    BATCH_NORMS,
    EPOCHS_MAX,
    Augmentation,
    ClassBalance,
    FineTunePhase,
    FrozenPhase,
    RecipeError,
)
from recognition.recipes.recipe import DEVICES, PRECISIONS, Recipe

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
