"""Leakage of a split: pictures of other splits that show a lesion, or belong to a patient, of the training split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from recognition.datasets.splits import SPLITS, TRAIN

DRAWS: Final = 20
VALIDATION_SHARE: Final = 0.2
"""The usual random split of tutorials: 80/20, by image."""


@dataclass(frozen=True, slots=True)
class RandomSplitLeakage:
    """Share of the validation pictures whose lesion is in training too, over repeated random draws of pictures."""

    mean: float
    low: float
    high: float
    draws: int
    validation_share: float


def random_split_leakage(
    groups: "pd.Series[str]", *, draws: int = DRAWS, validation_share: float = VALIDATION_SHARE, seed: int = 0
) -> RandomSplitLeakage:
    """Measure the leakage of `draws` random splits by image; `groups` is the lesion of every picture."""
    codes = pd.factorize(groups)[0]
    generator = np.random.default_rng(seed)
    size = max(1, round(len(codes) * validation_share))
    shares = []
    for _ in range(draws):
        order = generator.permutation(codes)
        validation, train = order[:size], order[size:]
        seen = np.zeros(codes.max() + 1, dtype=bool)
        seen[train] = True
        shares.append(float(seen[validation].mean()))
    return RandomSplitLeakage(float(np.mean(shares)), min(shares), max(shares), draws, validation_share)


def shared_lesions(groups: "pd.Series[str]", assignment: Mapping[str, str], images: "pd.Series[str]") -> dict[str, int]:
    """For each split except training: how many of its pictures are in a group that has pictures in training.

    A group is a lesion (`lesion_groups`), or a patient with all lesions (`split_groups`). `groups` and `images` are
    aligned columns of one table, `assignment` maps image to split.
    """
    splits = images.map(assignment)
    trained = set(groups[splits == TRAIN])
    return {split: int(groups[splits == split].isin(trained).sum()) for split in SPLITS if split != TRAIN}
