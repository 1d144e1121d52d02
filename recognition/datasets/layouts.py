"""Columns, words and image names of the layouts that can be imported, without pandas.

They are the official ISIC 2019 files, tables of isic-cli, MILK10k and PAD-UFES-20."""

from collections.abc import Mapping
from typing import Final

from recognition.taxonomy import CODES, UNKNOWN_CODE, Diagnosis

DIAGNOSIS_LEVELS: Final = tuple(f"diagnosis_{level}" for level in range(1, 6))
LEGACY_COLUMN: Final = "diagnosis"

_BENIGN_EPIDERMAL: Final = "Benign epidermal proliferations"
_MALIGNANT_EPIDERMAL: Final = "Malignant epidermal proliferations"
_MELANOMA: Final = "Malignant melanocytic proliferations (Melanoma)"

BY_PATH: Final[Mapping[tuple[str, ...], Diagnosis]] = {
    (_MELANOMA, "Melanoma Invasive"): Diagnosis.MEL,
    (_MELANOMA, "Melanoma in situ"): Diagnosis.MEL,
    (_MELANOMA, "Melanoma, NOS"): Diagnosis.MEL,
    # Melanoma metastases are left out: the melanoma did not start at that place.
    ("Benign melanocytic proliferations", "Nevus"): Diagnosis.NV,
    ("Malignant adnexal epithelial proliferations - Follicular", "Basal cell carcinoma"): Diagnosis.BCC,
    ("Indeterminate epidermal proliferations", "Solar or actinic keratosis"): Diagnosis.AK,
    (_BENIGN_EPIDERMAL, "Lichen planus like keratosis"): Diagnosis.BKL,
    (_BENIGN_EPIDERMAL, "Pigmented benign keratosis"): Diagnosis.BKL,
    (_BENIGN_EPIDERMAL, "Seborrheic keratosis"): Diagnosis.BKL,
    (_BENIGN_EPIDERMAL, "Solar lentigo"): Diagnosis.BKL,
    ("Benign soft tissue proliferations - Fibro-histiocytic", "Dermatofibroma"): Diagnosis.DF,
    ("Benign soft tissue proliferations - Vascular",): Diagnosis.VASC,
    ("Hemorrhagic lesions",): Diagnosis.VASC,
    (_MALIGNANT_EPIDERMAL, "Squamous cell carcinoma in situ"): Diagnosis.SCC,
    (_MALIGNANT_EPIDERMAL, "Squamous cell carcinoma, Invasive"): Diagnosis.SCC,
    (_MALIGNANT_EPIDERMAL, "Squamous cell carcinoma, NOS"): Diagnosis.SCC,
}
"""Diagnosis by levels 2 and 3 of the ISIC taxonomy, or by level 2 alone where all of it is one diagnosis."""

BY_LEGACY_WORD: Final[Mapping[str, Diagnosis]] = {
    "melanoma": Diagnosis.MEL,
    "nevus": Diagnosis.NV,
    "nevus spilus": Diagnosis.NV,
    "basal cell carcinoma": Diagnosis.BCC,
    "actinic keratosis": Diagnosis.AK,
    "lichenoid keratosis": Diagnosis.BKL,
    "pigmented benign keratosis": Diagnosis.BKL,
    "seborrheic keratosis": Diagnosis.BKL,
    "solar lentigo": Diagnosis.BKL,
    "dermatofibroma": Diagnosis.DF,
    "angiokeratoma": Diagnosis.VASC,
    "angioma": Diagnosis.VASC,
    "pyogenic granuloma": Diagnosis.VASC,
    "vascular lesion": Diagnosis.VASC,
    "squamous cell carcinoma": Diagnosis.SCC,
}
"""The words of the older `diagnosis` column."""

GROUND_TRUTH_COLUMNS: Final = ("image", *CODES, UNKNOWN_CODE)
METADATA_COLUMNS: Final = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")

TEST_COLUMNS: Final = (*GROUND_TRUTH_COLUMNS, "score_weight", "validation_weight")
"""The official table of the ISIC 2019 test set."""
TEST_METADATA_COLUMNS: Final = ("image", "age_approx", "anatom_site_general", "sex")

MILK10K_CLASSES: Final[Mapping[str, Diagnosis | None]] = {
    "AKIEC": None,
    "BCC": Diagnosis.BCC,
    "BEN_OTH": None,
    "BKL": Diagnosis.BKL,
    "DF": Diagnosis.DF,
    "INF": None,
    "MAL_OTH": None,
    "MEL": Diagnosis.MEL,
    "NV": Diagnosis.NV,
    "SCCKA": Diagnosis.SCC,
    "VASC": Diagnosis.VASC,
}
"""The classes of MILK10k, in the order of its columns. AKIEC is AK or SCC by `diagnosis_full`; BEN_OTH, INF and MAL_OTH
are none of the eight."""
AKIEC: Final = "AKIEC"
MILK10K_COLUMNS: Final = ("lesion_id", *MILK10K_CLASSES)

PAD_UFES_DIAGNOSES: Final[Mapping[str, Diagnosis]] = {
    "ACK": Diagnosis.AK,
    "BCC": Diagnosis.BCC,
    "BOD": Diagnosis.SCC,
    "MEL": Diagnosis.MEL,
    "NEV": Diagnosis.NV,
    "SCC": Diagnosis.SCC,
    "SEK": Diagnosis.BKL,
}
"""`diagnostic` of PAD-UFES-20. BOD is Bowen's disease, squamous cell carcinoma in situ."""

DOWNSAMPLED: Final = "_downsampled"


ID_COLUMN: Final = "isic_id"


def is_isic_cli(columns: tuple[str, ...]) -> bool:
    """Whether a header is that of an isic-cli download."""
    return ID_COLUMN in columns


def is_milk10k(columns: tuple[str, ...]) -> bool:
    """Whether a header is that of the ground truth of MILK10k."""
    return columns == MILK10K_COLUMNS


def is_pad_ufes(columns: tuple[str, ...]) -> bool:
    """Whether a header is that of the metadata of PAD-UFES-20."""
    return {"patient_id", "lesion_id", "img_id", "diagnostic"} <= set(columns)


def has_diagnosis(columns: tuple[str, ...]) -> bool:
    """Whether a header of this layout says anything about diagnoses."""
    return LEGACY_COLUMN in columns or DIAGNOSIS_LEVELS[1] in columns


def diagnosis_of(row: Mapping[str, str]) -> Diagnosis | None:
    """The diagnosis of a row, None if it is none of the eight."""
    second, third = row.get(DIAGNOSIS_LEVELS[1], ""), row.get(DIAGNOSIS_LEVELS[2], "")
    found = BY_PATH.get((second, third)) or BY_PATH.get((second,))
    return found or BY_LEGACY_WORD.get(row.get(LEGACY_COLUMN, "").lower())


def words_of(row: Mapping[str, str]) -> str:
    """The words of a row about its diagnosis, for a message; empty if there are none."""
    path = [row.get(level, "") for level in DIAGNOSIS_LEVELS]
    return ": ".join(word for word in path if word) or row.get(LEGACY_COLUMN, "")


def isic_id(image: str) -> str:
    """The ISIC id of an image name: the name without `_downsampled`."""
    return image.removesuffix(DOWNSAMPLED)
