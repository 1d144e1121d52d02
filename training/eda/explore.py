"""The whole exploration: all sections, in the order in which they are read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pandas as pd

from training.eda.gaps import malignant_where_missing, missing_values, untold
from training.eda.image_types import image_types
from training.eda.labels import class_distribution, images_per_lesion
from training.eda.people import age_by_diagnosis, age_distribution, sex_by_diagnosis
from training.eda.sections import Section, count
from training.eda.sites import site_by_diagnosis, site_distribution
from training.eda.sizes import image_sizes

SECTIONS: Final[Sequence[Callable[[pd.DataFrame], Section]]] = (
    class_distribution,
    image_types,
    age_distribution,
    age_by_diagnosis,
    sex_by_diagnosis,
    site_distribution,
    site_by_diagnosis,
    missing_values,
    malignant_where_missing,
    images_per_lesion,
    image_sizes,
    untold,
)

WITH_OTHERS: Final = frozenset({class_distribution, image_types})
"""The sections that also count images whose diagnosis is none of the eight."""


def explore(table: pd.DataFrame) -> list[Section]:
    """Compute every section.

    `table`: one row per image with the columns diagnosis ("" for none of the eight), image_type, age_approx (NaN if
    missing), sex, anatom_site_general, lesion_id, patient_id (None if missing), details, photo, width, height (None or
    NaN without images). At least one row with a diagnosis. Only the sections of `WITH_OTHERS` count the rows with none
    of the eight. Rows without an image are left out where others have one.
    """
    pictured = table["width"].notna()
    bare = int((~pictured).sum()) if pictured.any() else 0
    if bare:
        table = table[pictured]
    learned = table[table["diagnosis"] != ""]
    first, *others = [section(table if section in WITH_OTHERS else learned) for section in SECTIONS]
    if bare:
        said = f"{count(bare)} rows have no image: they hold answers alone and are not counted in any section."
        first = replace(first, caution=f"{first.caution} {said}".strip())
    return [first, *others]
