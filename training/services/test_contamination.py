"""Test contamination: how many test images of a data set a classifier may have learned from.

If the data set it was trained on is registered here, the images are counted. Otherwise equal fingerprints prove that
there is no contamination, and without them the answer is unknown. The web process calls this too, so nothing here reads
an image or loads pandas.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db.models import Q

from diagnoses.classifiers.models import Classifier
from training.models import Dataset, Example

MAX_ANCESTORS: Final = 50
"""Parents of a classifier that are checked, far more than occur. The limit ends the loop if parents form a cycle."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """The result for one classifier and the test images of one data set.

    `kept`: neither the classifier nor one it continues learned from these test images. `seen`: how many of the
    `pictures` test images the classifier named `by` learned from, or from another picture of the same lesion or
    patient; None if that is unknown. Evaluations store these names (key "exposure").
    """

    kept: bool
    seen: int | None
    pictures: int
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        """The form in which an evaluation stores it."""
        return asdict(self)


def contamination_of(manifest: Mapping[str, Any], dataset: Dataset) -> Contamination:
    """The test contamination of the classifier with this manifest, and of the classifiers whose weights it continues.

    If a parent learned from a test image, its child did too. For a parent that is not registered here it is unknown.
    """
    pictures = dataset.measurable().filter(split=Example.Split.TEST).count()
    version = str(manifest.get("version", ""))
    for _generation in range(MAX_ANCESTORS):
        seen = _seen(manifest, dataset)
        if seen != 0:
            return Contamination(False, seen, pictures, version)
        parent = (manifest.get("provenance") or {}).get("parent")
        if not parent:
            return Contamination(True, 0, pictures)
        version = str(parent.get("version", ""))
        row = Classifier.objects.filter(sha256=parent["sha256"]).first()
        if row is None:
            return Contamination(False, None, pictures, version)
        manifest = row.manifest
    return Contamination(False, None, pictures, version)


def _seen(manifest: Mapping[str, Any], dataset: Dataset) -> int | None:
    """How many of the test images this classifier's training may have used, without its parents; None if unknown."""
    split, data = manifest.get("split") or {}, manifest.get("dataset") or {}
    content, names = split.get("test_content_fingerprint"), split.get("test_fingerprint")
    if content:
        if content == dataset.test_content_fingerprint:
            return 0
    # Older bundles state only the names of their test images, so names are compared.
    elif names and names == dataset.test_fingerprint:
        return 0
    own = split.get("fingerprint")
    if not own:
        return None
    if own in (dataset.split_fingerprint, dealt_fingerprint(dataset)) and data.get("fingerprint") in (
        None,
        dataset.fingerprint,
    ):
        # Bringing near duplicates together only takes images out of the test split, so none of the rest was learned.
        return 0
    return _counted(own, data.get("fingerprint"), dataset)


def dealt_fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the split before near duplicates were brought together; empty if they were not."""
    gathered = (dataset.report or {}).get("split", {}).get("near_together") or {}
    return str(gathered.get("dealt_fingerprint", ""))


def _counted(split: str, data: str | None, dataset: Dataset) -> int | None:
    """How many test images of `dataset`, or other images of their lesion or patient, were learned from.

    The data set with these fingerprints was learned from, without its test split.
    """
    theirs = Dataset.objects.filter(fingerprint=data, split_fingerprint=split).first() if data else None
    if theirs is None:
        return None
    learned = theirs.measurable().exclude(split__in=["", Example.Split.TEST])
    known = (
        Q(image__in=learned.values("image"))
        | (~Q(sha256="") & Q(sha256__in=learned.exclude(sha256="").values("sha256")))
        | (~Q(lesion_id="") & Q(lesion_id__in=learned.exclude(lesion_id="").values("lesion_id")))
        | (~Q(patient_id="") & Q(patient_id__in=learned.exclude(patient_id="").values("patient_id")))
    )
    return dataset.measurable().filter(split=Example.Split.TEST).filter(known).count()
