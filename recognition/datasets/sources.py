"""The public data sets that the pictures come from, with their licences and citations."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recognition.inference.learned import PictureIds


@dataclass(frozen=True, slots=True)
class Source:
    """A public data set: its name, the licence of its pictures, and whom to cite."""

    name: str
    licence: str
    citations: tuple[str, ...]


ISIC_2019: Final = Source(
    "ISIC 2019 (HAM10000, BCN_20000, MSK)", "CC BY-NC 4.0", ("Tschandl 2018", "Codella 2018", "Combalia 2019")
)
MILK10K: Final = Source("MILK10k", "CC BY-NC 4.0", ("MILK study team 2025",))
PAD_UFES: Final = Source("PAD-UFES-20", "CC BY 4.0", ("Pacheco 2020",))
OTHER: Final = Source("other pictures", "", ())
SOURCES: Final = {source.name: source for source in (ISIC_2019, MILK10K, PAD_UFES, OTHER)}

IMAGENET: Final = "ImageNet EfficientNet-B4 (Apache-2.0)"


def sources_of(pictures: Iterable[PictureIds]) -> list[str]:
    """The names of the sources of `pictures`, in the order of `SOURCES`. Image and lesion ids tell them apart."""
    found = {_source(each).name for each in pictures}
    return [name for name in SOURCES if name in found]


def _source(picture: PictureIds) -> Source:
    if picture.image.startswith("PAT_"):
        return PAD_UFES
    # MILK10k is in the ISIC archive too: its lesions are IL_..., its pictures ISIC_... like those of ISIC 2019.
    if any(lesion.startswith("IL_") for lesion in picture.lesions):
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
    limit = "Non-commercial use only, with citation. " if any("NC" in SOURCES[name].licence for name in names) else ""
    return f"{limit}Weights derived from {'; '.join(lines)}. Backbone initialised from {IMAGENET}."
