"""Own the column names of the official ISIC 2019 files; light enough for the web process (no pandas)."""

from typing import Final

from diagnoses.taxonomy import CODES, UNKNOWN_CODE

GROUND_TRUTH_COLUMNS: Final = ("image", *CODES, UNKNOWN_CODE)
METADATA_COLUMNS: Final = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
