"""The classifiers that a classifier comes from, by its manifest as JSON, and whether its recipe learned validation."""

from collections.abc import Mapping
from typing import Any, Final

from recognition.datasets.sources import ISIC_2019

PARENT: Final = "parent"
TEACHER: Final = "teacher"
RESEALED_FROM: Final = "resealed_from"


def ancestors(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of the manifest's `ancestry`: the classifiers whose weights or answers went into this one.

    Manifests that lack it name parent and teachers alone, in their provenance. A teacher had to be of the same split
    then, and what was sealed again of the same data; of a parent nothing is known.
    """
    if manifest.get("ancestry"):
        return [dict(each) for each in manifest["ancestry"]]
    provenance = manifest.get("provenance") or {}
    named = [(TEACHER, each) for each in provenance.get("teachers") or ()]
    if resealed := provenance.get("resealed_from"):
        named.append((RESEALED_FROM, resealed))
    found = {each["sha256"]: {**each, "relation": relation, **data_of(manifest)} for relation, each in named}
    if parent := provenance.get("parent"):
        unknown = {"dataset": "", "dataset_fingerprint": "", "split_fingerprint": "", "sources": []}
        found[parent["sha256"]] = {**unknown, **found.get(parent["sha256"], parent), "relation": PARENT}
    return list(found.values())


def data_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says of the data: name and fingerprint of data set and split, and the names of their sources."""
    dataset, split = manifest.get("dataset") or {}, manifest.get("split") or {}
    return {
        "dataset": str(dataset.get("name", "")),
        "dataset_fingerprint": str(dataset.get("fingerprint", "")),
        "split_fingerprint": str(split.get("fingerprint", "")),
        # Older manifests do not name their sources; all named ISIC 2019 in their licence.
        "sources": list(dataset.get("sources", [ISIC_2019.name])),
    }


def learns_validation(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe, as JSON, learns the validation split as well."""
    return bool((recipe.get("fine_tune") or {}).get("learn_validation"))
