"""Body sites of the sources in the words of ISIC 2019 (`anatom_site_general`).

A torso of unknown side has no word there, so it is None: the site is not known. The source's own word stays in the
details of the row.
"""

from collections.abc import Mapping, Sequence
from typing import Final

ANATOM_SITE_LEVELS: Final = tuple(f"anatom_site_{level}" for level in range(1, 6))
"""The columns of today's isic-cli tables, from the largest region to the smallest."""

MILK10K_SITES: Final[Mapping[str, str | None]] = {
    "head_neck_face": "head/neck",
    "trunk": None,
    "upper_extremity": "upper extremity",
    "lower_extremity": "lower extremity",
    "hand": "palms/soles",
    "foot": "palms/soles",
    "genital": "oral/genital",
}
"""`site` of MILK10k."""

PAD_UFES_REGIONS: Final[Mapping[str, str]] = {
    "FACE": "head/neck",
    "SCALP": "head/neck",
    "EAR": "head/neck",
    "NOSE": "head/neck",
    "LIP": "head/neck",
    "NECK": "head/neck",
    "CHEST": "anterior torso",
    "ABDOMEN": "anterior torso",
    "BACK": "posterior torso",
    "ARM": "upper extremity",
    "FOREARM": "upper extremity",
    "THIGH": "lower extremity",
    "HAND": "palms/soles",
    "FOOT": "palms/soles",
}
"""`region` of PAD-UFES-20."""

# The ISIC archive names a site by its path. The longest path listed here decides. As in the other sources, a hand or a
# foot is palms/soles, unless the path names the back of it.
_BY_PATH: Final[Mapping[tuple[str, ...], str | None]] = {
    ("head and neck",): "head/neck",
    ("head and neck", "head", "face", "mouth"): "oral/genital",
    ("trunk",): None,
    ("trunk", "anterior trunk"): "anterior torso",
    ("trunk", "lateral trunk"): "lateral torso",
    ("trunk", "posterior trunk"): "posterior torso",
    ("upper extremity",): "upper extremity",
    ("upper extremity", "hand"): "palms/soles",
    ("upper extremity", "hand", "dorsum of hand"): "upper extremity",
    ("lower extremity",): "lower extremity",
    ("lower extremity", "foot"): "palms/soles",
    ("lower extremity", "foot", "dorsum of foot"): "lower extremity",
    ("anogenital region",): "oral/genital",
}
_SPECIAL: Final[Mapping[str, str]] = {"acral palms or soles": "palms/soles", "oral or genital": "oral/genital"}


def site_of_path(path: Sequence[str], special: str = "") -> str | None:
    """The site that the words of `ANATOM_SITE_LEVELS` name; None where they name none of ISIC 2019's words.

    `special` is `anatom_site_special`, which goes before the path. Raises KeyError for an unknown first word.
    """
    if special in _SPECIAL:
        return _SPECIAL[special]
    words = [word.lower() for word in path if word]
    if not words:
        return None
    for length in range(len(words), 1, -1):
        if tuple(words[:length]) in _BY_PATH:
            return _BY_PATH[tuple(words[:length])]
    return _BY_PATH[(words[0],)]
