"""Column and image names of the official ISIC 2019 files; light enough for the web process (no pandas)."""

from typing import Final

from diagnoses.taxonomy import CODES, UNKNOWN_CODE

GROUND_TRUTH_COLUMNS: Final = ("image", *CODES, UNKNOWN_CODE)
METADATA_COLUMNS: Final = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")

DOWNSAMPLED: Final = "_downsampled"


def isic_id(image: str) -> str:
    """The ISIC image a name means: the name without `_downsampled`."""
    return image.removesuffix(DOWNSAMPLED)
