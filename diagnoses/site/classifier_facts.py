"""What the about page says of the live classifier: all of it from the manifest of its bundle."""

from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise

from diagnoses.classifiers.description import describe
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import IMAGE_TYPE_NAMES
from recognition.datasets.sources import Source, sources_in

TOY: Final = "tiny"
"""The network of a few hundred weights that the tests train: never to be mistaken for a real one."""


@dataclass(frozen=True, slots=True)
class ClassifierFacts:
    """Facts of a classifier for people.

    - `network`: the name of its architecture; `is_toy`: the network of the tests; `input_size`: pixels, or None;
    - `image_types`: the labels of the kinds of picture that it knows;
    - `pictures`: of the data set it was sealed with, None if unknown; `sources`: where those come from.
    """

    version: str
    sha256: str
    network: str
    is_toy: bool
    input_size: int | None
    image_types: list[str | Promise]
    pictures: int | None
    sources: list[Source]

    @property
    def is_non_commercial(self) -> bool:
        """Whether a source forbids to earn money with it."""
        return any(source.non_commercial for source in self.sources)


def facts_of(classifier: Classifier) -> ClassifierFacts:
    """The facts in the manifest of a registered classifier, of any version of the format."""
    manifest: dict[str, Any] = classifier.manifest
    described = describe(manifest)
    return ClassifierFacts(
        version=classifier.version,
        sha256=classifier.sha256,
        network=described.network,
        is_toy=manifest.get("architecture", {}).get("backbone") == TOY,
        input_size=described.input_size,
        image_types=[IMAGE_TYPE_NAMES[each] for each in described.image_types if each in IMAGE_TYPE_NAMES],
        pictures=manifest.get("dataset", {}).get("pictures"),
        sources=sources_in(manifest),
    )
