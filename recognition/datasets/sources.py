"""The public data sets that the pictures come from, with their licences and citations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recognition.inference.learned import PictureIds


@dataclass(frozen=True, slots=True)
class Source:
    """A public data set: its name, the licence of its pictures, and whom to cite, in short and where to find it."""

    name: str
    licence: str
    citations: tuple[str, ...]
    references: tuple[str, ...] = ()

    @property
    def non_commercial(self) -> bool:
        """Whether nobody may sell the pictures or what was learned from them."""
        return "NC" in self.licence


ISIC_2019: Final = Source(
    "ISIC 2019 (HAM10000, BCN_20000, MSK)",
    "CC BY-NC 4.0",
    ("Tschandl 2018", "Codella 2018", "Combalia 2019"),
    (
        "Tschandl P, Rosendahl C, Kittler H: The HAM10000 dataset, Scientific Data 5, 180161, 2018.",
        "Codella N and others: Skin lesion analysis toward melanoma detection, ISBI 2018.",
        "Combalia M and others: BCN20000: Dermoscopic lesions in the wild, 2019.",
    ),
)
MILK10K: Final = Source(
    "MILK10k",
    "CC BY-NC 4.0",
    ("MILK study team 2025",),
    ("MILK study team: MILK10k, ISIC Archive, 2025, doi:10.34970/648456.",),
)
PAD_UFES: Final = Source(
    "PAD-UFES-20",
    "CC BY 4.0",
    ("Pacheco 2020",),
    (
        "Pacheco AGC and others: PAD-UFES-20: A skin lesion dataset composed of patient data and clinical images "
        "collected from smartphones, Data in Brief 32, 106221, 2020.",
    ),
)
OTHER: Final = Source("other pictures", "", ())
SOURCES: Final = {source.name: source for source in (ISIC_2019, MILK10K, PAD_UFES, OTHER)}

IMAGENET: Final = "ImageNet EfficientNet-B4 (Apache-2.0)"


def sources_of(pictures: Iterable[PictureIds]) -> list[str]:
    """The names of the sources of `pictures`, in the order of `SOURCES`. Image and lesion ids tell them apart."""
    found = {source_of(each).name for each in pictures}
    return [name for name in SOURCES if name in found]


def sources_in(manifest: Mapping[str, Any]) -> list[Source]:
    """The sources of a bundle and of its ancestors, as the JSON of its manifest says; older ones are of ISIC 2019."""
    names = (manifest.get("dataset") or {}).get("sources", [ISIC_2019.name])
    return [SOURCES[name] for name in names if name in SOURCES]


def source_of(picture: PictureIds) -> Source:
    """The public data set of a picture."""
    if picture.image.startswith("PAT_"):
        return PAD_UFES
    # MILK10k is in the ISIC archive too: its lesions are IL_..., its pictures ISIC_... like those of ISIC 2019. The
    # last id is the picture's own: where data sets are joined, a lesion in two of them gets the id of the first.
    if picture.lesions and picture.lesions[-1].startswith("IL_"):
        return MILK10K
    return ISIC_2019 if picture.image.startswith("ISIC_") else OTHER


def licence_text(names: Iterable[str]) -> str:
    """What may be done with a classifier of these sources, and whom to cite: the manifest's licence."""
    lines = []
    for source in (SOURCES[name] for name in names):
        if source == OTHER:
            lines.append("pictures of no known data set, under the licence of whoever gave them")
        else:
            lines.append(f"{source.name}, {source.licence} (cite {', '.join(source.citations)})")
    limit = "Non-commercial use only, with citation. " if any(SOURCES[name].non_commercial for name in names) else ""
    return f"{limit}Weights derived from {'; '.join(lines)}. Backbone initialised from {IMAGENET}."
