"""What a classifier and its ancestors have learned, as far as their bundles say it or their data are registered here.

The web process calls this too, so nothing here reads an image or loads pandas.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.files.storage import default_storage
from safetensors import SafetensorError
from safetensors.numpy import load

from diagnoses.classifiers.models import Classifier
from recognition.datasets.ancestry import ancestors, learns_validation
from recognition.datasets.identity import ids_of
from recognition.inference.bundle import LEARNED_NAME
from recognition.inference.learned import Learned, PictureIds
from training.models import Dataset, Example

TRAIN, VALIDATION = Example.Split.TRAIN, Example.Split.VALIDATION


@dataclass(frozen=True, slots=True, eq=False)
class Forebear:
    """A classifier or one of its ancestors: its manifest, and what it and its own ancestors learned if it says so.

    The manifest of an ancestor that is not registered here holds what its descendant knows: names and fingerprints.
    """

    version: str
    manifest: Mapping[str, Any]
    learned: Learned | None


def forebears(manifest: Mapping[str, Any], learned: Learned | None) -> Iterator[Forebear]:
    """The classifier of this manifest, then each ancestor whose pictures are not in the file of its descendant."""
    waiting, met = [Forebear(str(manifest.get("version", "")), manifest, learned)], set()
    while waiting:
        each = waiting.pop(0)
        yield each
        for named in () if each.learned is not None and each.learned.complete else ancestors(each.manifest):
            if named["sha256"] in met:
                continue
            met.add(named["sha256"])
            row = Classifier.objects.filter(sha256=named["sha256"]).first()
            if row is not None:
                waiting.append(Forebear(row.version, row.manifest, stored_learned(row)))
                continue
            known = ("dataset", "split", "recipe") if _same_split(named, each.manifest) else ()
            described = {
                "dataset": {"fingerprint": named["dataset_fingerprint"]},
                "split": {"fingerprint": named["split_fingerprint"]},
                **{name: each.manifest.get(name) for name in known},
            }
            waiting.append(Forebear(str(named["version"]), described, None))


def _same_split(named: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    fingerprint = (manifest.get("split") or {}).get("fingerprint")
    return bool(fingerprint) and named["split_fingerprint"] == fingerprint


def stored_learned(classifier: Classifier) -> Learned | None:
    """What the bundle of a registered classifier says that it learned; None if it says nothing or is not whole."""
    sealed = (classifier.manifest.get("files") or {}).get(LEARNED_NAME)
    if not sealed:
        return None
    try:
        with default_storage.open(f"{classifier.folder}/{LEARNED_NAME}") as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != sealed["sha256"]:
            return None
        return Learned.from_tensors(load(content))
    except (OSError, SafetensorError, ValueError):
        return None


def learned_of(classifier: Classifier) -> Learned:
    """What a registered classifier and all its ancestors have learned; not `complete` if something is unknown."""
    found, complete = Learned.of(()), True
    for each in forebears(classifier.manifest, stored_learned(classifier)):
        part = each.learned or registered_learned(each.manifest) or Learned.unknown()
        # A file that is not complete names the ancestors that it lacks; they follow here.
        complete = complete and (part.complete or (each.learned is not None and bool(ancestors(each.manifest))))
        found |= part
    return replace(found, complete=complete)


def registered_learned(manifest: Mapping[str, Any]) -> Learned | None:
    """What the training of this manifest learned, without its ancestors; None if its data set is not registered here.

    The manifest tells the data set by its fingerprint and the split by its own.
    """
    data, split = manifest.get("dataset") or {}, manifest.get("split") or {}
    if not (data.get("fingerprint") and split.get("fingerprint")):
        return None
    rows = Dataset.objects.filter(fingerprint=data["fingerprint"], split_fingerprint=split["fingerprint"])
    dataset = rows.defer("eda", "report").first()
    if dataset is None:
        return None
    train, validation = picture_ids(dataset, [TRAIN]), picture_ids(dataset, [VALIDATION])
    if learns_validation(manifest.get("recipe") or {}):
        return Learned.of([*train, *validation])
    return Learned.of(train, validation)


def picture_ids(dataset: Dataset, splits: Iterable[str]) -> list[PictureIds]:
    """The names of the data set's pictures in these splits: of those that are learned or measured."""
    rows = dataset.measurable().filter(split__in=list(splits)).order_by()
    return [ids_of(*row) for row in rows.values_list("image", "sha256", "lesion_id", "patient_id", "details")]
