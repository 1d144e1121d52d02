"""Own what the table of a data set says about its pictures beside their diagnosis: age, sex and site."""

from collections.abc import Sequence

import pandas as pd

from diagnoses.inference.metadata import Metadata


def metadata_of(table: pd.DataFrame, images: Sequence[str]) -> list[Metadata]:
    """The metadata of each image, in order, from a table with the columns `examples.COLUMNS`."""
    rows = table.set_index("image").loc[list(images), ["age_approx", "sex", "anatom_site_general"]]
    return [
        Metadata(age_approx=None if pd.isna(age) else float(age), sex=sex or None, anatom_site_general=site or None)
        for age, sex, site in rows.itertuples(index=False, name=None)
    ]
