"""Own one question: may a classifier have learned from the test images of a data set?

Where the data set it was trained on is registered here, the answer is counted; otherwise only equal fingerprints say
no.
The web process asks this too, so nothing here reads an image or loads pandas.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db.models import Q

from diagnoses.classifiers.models import Classifier
from training.models import Dataset, Example

LONGEST_LINE: Final = 50
"""Generations looked back: far more than anybody continues, and an end for a line that bites its tail."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """`kept`: neither it nor a classifier it continues learned from any of these test images.

    `seen` of `pictures` test images are, or show the lesion of, one that `by` learned from; None: nobody can tell.
    """

    kept: bool
    seen: int | None
    pictures: int
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        """As an evaluation keeps it."""
        return asdict(self)


def exposure_of(manifest: Mapping[str, Any], dataset: Dataset) -> Exposure:
    """What the classifier of this manifest, and every one whose weights it continued, may know of the test images.

    A parent that learned from them hands that on to its child. One that is not registered here cannot be asked.
    """
    pictures = dataset.examples.filter(split=Example.Split.TEST).count()
    version = str(manifest.get("version", ""))
    for _generation in range(LONGEST_LINE):
        seen = _seen(manifest, dataset)
        if seen != 0:
            return Exposure(False, seen, pictures, version)
        parent = (manifest.get("provenance") or {}).get("parent")
        if not parent:
            return Exposure(True, 0, pictures)
        version = str(parent.get("version", ""))
        row = Classifier.objects.filter(sha256=parent["sha256"]).first()
        if row is None:
            return Exposure(False, None, pictures, version)
        manifest = row.manifest
    return Exposure(False, None, pictures, version)


def _seen(manifest: Mapping[str, Any], dataset: Dataset) -> int | None:
    """How many of the test images this one classifier's own training may know; None where nobody can tell."""
    split, data = manifest.get("split") or {}, manifest.get("dataset") or {}
    content, names = split.get("test_content_fingerprint"), split.get("test_fingerprint")
    if content:
        if content == dataset.test_content_fingerprint:
            return 0
    # Bundles sealed earlier state the names of their test images only: like is compared with like.
    elif names and names == dataset.test_fingerprint:
        return 0
    own = split.get("fingerprint")
    if not own:
        return None
    if own in (dataset.split_fingerprint, dealt_fingerprint(dataset)) and data.get("fingerprint") in (
        None,
        dataset.fingerprint,
    ):
        # Where near duplicates were brought together afterwards, images only ever left the test split it knows.
        return 0
    return _counted(own, data.get("fingerprint"), dataset)


def dealt_fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the split as it was dealt, before near duplicates were brought together; empty if none were."""
    gathered = (dataset.report or {}).get("split", {}).get("near_together") or {}
    return str(gathered.get("dealt_fingerprint", ""))


def _counted(split: str, data: str | None, dataset: Dataset) -> int | None:
    """Test images of `dataset` that the data set of this split and content had outside its own test split."""
    theirs = Dataset.objects.filter(fingerprint=data, split_fingerprint=split).first() if data else None
    if theirs is None:
        return None
    learned = Example.objects.filter(dataset=theirs).exclude(split=Example.Split.TEST)
    known = (
        Q(image__in=learned.values("image"))
        | (~Q(sha256="") & Q(sha256__in=learned.exclude(sha256="").values("sha256")))
        | (~Q(lesion_id="") & Q(lesion_id__in=learned.exclude(lesion_id="").values("lesion_id")))
    )
    return Example.objects.filter(dataset=dataset, split=Example.Split.TEST).filter(known).count()
