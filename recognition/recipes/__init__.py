"""Training recipes: all settings of a training as plain frozen data, with the expected result.

Everything that changes the result of a training is a field of `Recipe` (`recipe`) or of its phases (`phases`). A recipe
has a frozen phase (the head on cached features) and may have a fine-tuning phase. `catalogue` has the recipes,
`changing` replaces fields by name. Runs and bundles store `Recipe.as_json`. Nothing here imports Keras.
"""

from collections.abc import Mapping
from typing import Final

from recognition.recipes.catalogue import (
    DEFAULT_STAGES,
    FINE_TUNE,
    LINEAR_PROBE,
    SEED_FINE_TUNE,
    SEED_HEAD,
    SEED_TRANSFER,
    SMOKE,
)
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
    "DEFAULT_STAGES",
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
    recipe.name: recipe for recipe in (LINEAR_PROBE, FINE_TUNE, *DEFAULT_STAGES, SEED_TRANSFER, SEED_FINE_TUNE, SMOKE)
}
"""All recipes by name, in the order of the form."""
