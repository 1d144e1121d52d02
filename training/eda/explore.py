"""The whole exploration: all sections, in the order in which they are read."""

from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from training.eda.gaps import malignant_where_missing, missing_values, untold
from training.eda.labels import class_distribution, images_per_lesion
from training.eda.people import age_by_diagnosis, age_distribution, sex_by_diagnosis
from training.eda.sections import Section
from training.eda.sites import site_by_diagnosis, site_distribution
from training.eda.sizes import image_sizes

SECTIONS: Final[Sequence[Callable[[pd.DataFrame], Section]]] = (
    class_distribution,
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


def explore(table: pd.DataFrame) -> list[Section]:
    """Compute every section.

    `table`: one row per image with the columns diagnosis, age_approx (NaN if missing), sex, anatom_site_general,
    lesion_id (None if missing), width, height (None or NaN without images). At least one row.
    """
    return [section(table) for section in SECTIONS]
