"""Test contamination: how many test images of a data set a classifier, or one it comes from, has learned.

Bundles say what they learned, and the images are counted. For older ones equal fingerprints prove that there is no
contamination, or their data set is registered here and the images are counted. Otherwise the answer is unknown. The web
process calls this too, so nothing here reads an image or loads pandas.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recognition.inference.learned import Learned
from training.models import Dataset, Example
from training.services.ancestry import forebears, picture_ids, registered_learned


@dataclass(frozen=True, slots=True)
class Contamination:
    """The result for one classifier and the test images of one data set.

    `kept`: neither the classifier nor one it comes from learned these test images. `seen`: how many of the `pictures`
    test images the classifier named `by`, or one it comes from, has learned, or another picture of the same lesion or
    patient; None if that is unknown. Evaluations store these names (key "exposure").
    """

    kept: bool
    seen: int | None
    pictures: int
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        """The form in which an evaluation stores it."""
        return asdict(self)


def contamination_of(manifest: Mapping[str, Any], dataset: Dataset, learned: Learned | None = None) -> Contamination:
    """The test contamination of the classifier with this manifest, and of all that it comes from.

    `learned` is what its bundle says that it learned (`Bundle.learned`, `ancestry.stored_learned`): then every image is
    looked up, whatever is registered here. A bundle that does not say is judged by fingerprints, or by its data set if
    that is registered; so is an ancestor, and of one that is neither it is unknown.
    """
    tested, unknown = picture_ids(dataset, [Example.Split.TEST]), ""
    for each in forebears(manifest, learned):
        known = each.learned
        if known is None and not _proved(each.manifest, dataset):
            known = registered_learned(each.manifest)
            if known is None:
                unknown = unknown or each.version
        # What calibration and table were fitted to counts for the classifier itself; whoever goes on from it fits anew.
        seen = [] if known is None else known.overlap(tested, fitted=each.manifest is manifest)
        if seen:
            return Contamination(False, len(seen), len(tested), each.version)
    return Contamination(False, None, len(tested), unknown) if unknown else Contamination(True, 0, len(tested))


def _proved(manifest: Mapping[str, Any], dataset: Dataset) -> bool:
    """Whether fingerprints prove that the training of this manifest kept the test images back."""
    split, data = manifest.get("split") or {}, manifest.get("dataset") or {}
    content, names = split.get("test_content_fingerprint"), split.get("test_fingerprint")
    if content:
        if content == dataset.test_content_fingerprint:
            return True
    # Older bundles state only the names of their test images, so names are compared.
    elif names and names == dataset.test_fingerprint:
        return True
    # Bringing near duplicates together only takes images out of the test split, so none of the rest was learned.
    return (
        bool(split.get("fingerprint"))
        and split["fingerprint"] in (dataset.split_fingerprint, dealt_fingerprint(dataset))
        and data.get("fingerprint") in (None, "", dataset.fingerprint)
    )


def dealt_fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the split before near duplicates were brought together; empty if they were not."""
    gathered = (dataset.report or {}).get("split", {}).get("near_together") or {}
    return str(gathered.get("dealt_fingerprint", ""))
