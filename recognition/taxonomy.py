"""The vocabulary: the eight ISIC 2019 diagnoses in their one order, and the words of the ISIC metadata.

The order MEL NV BCC AK BKL DF VASC SCC is the column order of the ISIC 2019 ground truth and the
output order of every network in this application. It is not alphabetical: with labels in alphabetical
order, output 5 (DF) would be read as NV. Take an index from `Diagnosis.position` and the order from `CODES`;
never sort the codes.

Texts are plain English strings. The Django applications translate them with gettext.

Source: ISIC 2019 challenge (Tschandl 2018, Codella 2018, Combalia 2019), https://challenge.isic-archive.com/data/
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Facts:
    """The properties of one diagnosis; see `Diagnosis`."""

    full_name: str
    plain_words: str
    malignant: bool = False
    precursor: bool = False


class Diagnosis(enum.StrEnum):
    """One of the eight ISIC 2019 diagnoses; iteration gives the ISIC order.

    A member is its code as a string: `Diagnosis.MEL == "MEL"`, and `Diagnosis("MEL")` is the member.
    """

    MEL = "MEL"
    NV = "NV"
    BCC = "BCC"
    AK = "AK"
    BKL = "BKL"
    DF = "DF"
    VASC = "VASC"
    SCC = "SCC"

    @property
    def full_name(self) -> str:
        """English medical name, in sentence case."""
        return _FACTS[self].full_name

    @property
    def plain_words(self) -> str:
        """One sentence for a patient: what it is, never what to do about it."""
        return _FACTS[self].plain_words

    @property
    def malignant(self) -> bool:
        """Whether it is a cancer: MEL, BCC, SCC."""
        return _FACTS[self].malignant

    @property
    def precursor(self) -> bool:
        """Whether it is no cancer but can become one: AK."""
        return _FACTS[self].precursor

    @property
    def position(self) -> int:
        """Place in the ISIC order, 0 to 7: the network's output and the CSV column."""
        return CODES.index(self.value)


def gettext_noop(message: str) -> str:
    """Mark `message` for Django's `makemessages`, which looks for this name; nothing here imports Django."""
    return message


_FACTS: Final[Mapping[Diagnosis, _Facts]] = {
    Diagnosis.MEL: _Facts(
        gettext_noop("Melanoma"),
        gettext_noop(
            "A cancer that starts in the cells that give skin its colour; found early, it can usually be cured."
        ),
        malignant=True,
    ),
    Diagnosis.NV: _Facts(
        gettext_noop("Melanocytic nevus"),
        gettext_noop("An ordinary mole: a harmless cluster of the cells that give skin its colour."),
    ),
    Diagnosis.BCC: _Facts(
        gettext_noop("Basal cell carcinoma"),
        gettext_noop("The most common skin cancer; it grows slowly and rarely spreads, but it needs treatment."),
        malignant=True,
    ),
    Diagnosis.AK: _Facts(
        gettext_noop("Actinic keratosis"),
        gettext_noop("A rough patch caused by years of sun; it is not cancer, but it can turn into one."),
        precursor=True,
    ),
    Diagnosis.BKL: _Facts(
        gettext_noop("Benign keratosis"),
        gettext_noop("A harmless growth of the skin's outer layer, such as an age spot or a seborrhoeic keratosis."),
    ),
    Diagnosis.DF: _Facts(
        gettext_noop("Dermatofibroma"),
        gettext_noop("A small, firm, harmless bump, often left behind by an insect bite or a scratch."),
    ),
    Diagnosis.VASC: _Facts(
        gettext_noop("Vascular lesion"),
        gettext_noop(
            "A usually harmless mark of small blood vessels, such as a cherry angioma, or a small bleed under the skin."
        ),
    ),
    Diagnosis.SCC: _Facts(
        gettext_noop("Squamous cell carcinoma"),
        gettext_noop(
            "A skin cancer of the outer layer; treated early, it can usually be cured, but it can spread if left alone."
        ),
        malignant=True,
    ),
}

CODES: Final[tuple[str, ...]] = tuple(diagnosis.value for diagnosis in Diagnosis)
"""The eight codes in ISIC order."""

MALIGNANT: Final[tuple[Diagnosis, ...]] = tuple(d for d in Diagnosis if d.malignant)
"""The cancers; their probabilities add up to the malignant score."""

MALIGNANT_POSITIONS: Final[tuple[int, ...]] = tuple(d.position for d in MALIGNANT)
"""Positions of the cancers among the eight probabilities."""

PRECURSOR_POSITIONS: Final[tuple[int, ...]] = tuple(d.position for d in Diagnosis if d.precursor)
"""Positions of the precursors (AK) among the eight probabilities."""

UNKNOWN_CODE: Final = "UNK"
"""Ninth column of the ISIC files: none of the eight. No network here gives it, and no training row may have it."""

SITES: Final[tuple[str, ...]] = (
    "anterior torso",
    "posterior torso",
    "lateral torso",
    "head/neck",
    "upper extremity",
    "lower extremity",
    "palms/soles",
    "oral/genital",
)
"""`anatom_site_general` of the ISIC 2019 metadata; a missing value is an empty cell, not a word."""

DERMOSCOPIC: Final = "dermoscopic"
"""A picture taken through a dermatoscope."""

CLOSE_UP: Final = "clinical: close-up"
"""A picture of one lesion taken with a phone or a camera from close by."""

IMAGE_TYPES: Final[tuple[str, ...]] = (DERMOSCOPIC, CLOSE_UP)
"""`image_type` of the ISIC archive: the kinds of picture that are learned and recognised. The archive has others
(overviews, tiles of total-body photographs, microscopy); pictures of those are left out of data sets."""

SEXES: Final[tuple[str, ...]] = ("male", "female")
"""`sex` of the ISIC 2019 metadata; a missing value is an empty cell."""

AGES_APPROX: Final[tuple[int, ...]] = tuple(range(0, 86, 5))
"""`age_approx` as the ISIC files record it: years, 0 to 85 in steps of 5."""

AGE_MIN: Final = 0
AGE_MAX: Final = 120
"""Years that an upload may give as an age; a higher number is a typing error."""
