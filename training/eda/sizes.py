"""The section about image sizes: whether the size gives the diagnosis away."""

from typing import Final

import pandas as pd

from recognition.taxonomy import Diagnosis
from training.eda.sections import Column, Section, count, percent

SHOWN: Final = 10
"""Sizes that are listed; the rest are counted together."""

TELLING_RATIO: Final = 1.2
"""Diagnoses whose typical long sides differ by more than this factor can be told apart by sharpness alone."""


def image_sizes(table: pd.DataFrame) -> Section:
    """The most frequent sizes in pixels, and the typical long side of each diagnosis."""
    known = table.dropna(subset=["width", "height"])
    if known.empty:
        return Section("image-sizes", "Image sizes", "The tables came without images, so their sizes are not known.")
    width, height = known["width"].astype(int), known["height"].astype(int)
    sizes = (width.astype(str) + " × " + height.astype(str)).value_counts()
    long_side = pd.concat([width, height], axis=1).max(axis=1)
    medians = long_side.groupby(known["diagnosis"]).median()
    by_diagnosis = {d.value: float(medians[d.value]) for d in Diagnosis if d.value in medians.index}
    low, high = min(by_diagnosis, key=lambda c: by_diagnosis[c]), max(by_diagnosis, key=lambda c: by_diagnosis[c])
    if long_side.nunique() == 1:
        reading = (
            f"Every image has a long side of {int(long_side.iloc[0])} pixels; the most frequent of {len(sizes)} "
            f"sizes is {sizes.index[0]} ({percent(sizes.iloc[0] / len(known))})."
        )
    else:
        reading = (
            f"Long sides reach from {count(int(long_side.min()))} to {count(int(long_side.max()))} pixels; the most "
            f"frequent of {len(sizes)} sizes is {sizes.index[0]} ({percent(sizes.iloc[0] / len(known))})."
        )
    caution = ""
    if by_diagnosis[high] > TELLING_RATIO * by_diagnosis[low]:
        caution = (
            f"The typical long side is {by_diagnosis[high]:.0f} pixels for {high} and {by_diagnosis[low]:.0f} for "
            f"{low}: a network can learn sharpness instead of the lesion unless all images are brought to one scale."
        )
    rows = [(str(size), int(number), number / len(known)) for size, number in sizes.head(SHOWN).items()]
    if len(sizes) > SHOWN:
        rest = int(sizes.iloc[SHOWN:].sum())
        rows.append((f"{len(sizes) - SHOWN} other sizes", rest, rest / len(known)))
    return Section(
        "image-sizes",
        "Image sizes",
        reading,
        (Column("size", "Width × height", "text"), Column("images", "Images"), Column("share", "Share", "share")),
        rows,
        {
            "sizes": len(sizes),
            "long_side_min": int(long_side.min()),
            "long_side_max": int(long_side.max()),
            "median_long_side": by_diagnosis,
        },
        caution,
    )
