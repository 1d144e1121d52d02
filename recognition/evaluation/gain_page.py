"""The page that tells what the gain of a classifier came from, out of the manifests of the bundles on the way to it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from recognition.datasets.ancestry import RESEALED_FROM
from recognition.evaluation.model_card import (
    BY_COLLECTION,
    KIND_WORDS,
    NO_COLLECTION,
    WAYS,
    collections_of,
    environment,
    main_table,
    trained_on,
)
from recognition.evaluation.subgroups import NOT_GIVEN
from recognition.inference.bundle import Bundle

TEMPLATE: Final = "gain_page.md.jinja"

KNOWN: Final = {"demographics": "age, sex and site", "answers": "answers, age, sex and site"}


def gain_page(bundles: Sequence[Bundle]) -> str:
    """The page about these bundles, oldest first; the last one is the classifier itself.

    Raises ValueError where they were not measured on the same test pictures, or one without the figures by collection.
    """
    last = bundles[-1]
    for each in bundles:
        if each.manifest.split["fingerprint"] != last.manifest.split["fingerprint"]:
            raise ValueError(f"{each.version} and {last.version} were measured on other test pictures.")
        if not any(collections_of(each).values()):
            raise ValueError(f"{each.version} has no figures by collection; seal it again with reseal_classifier.")
    template = environment().get_template(TEMPLATE)
    return template.render(
        bundles=bundles,
        last=last,
        tables=dict(_tables(bundles)),
        joint=main_table({each.version: _joint(each) for each in bundles if _joint(each)}, "classifier"),
        kinds={name: block["metrics"] for name, block in last.manifest.image_types.items()},
        told=main_table(dict(_told(last)), "pictures", pictures=True),
        learned_from=_learned_from,
    )


def _tables(bundles: Sequence[Bundle]) -> Iterator[tuple[str, str]]:
    """For each kind of picture, collection and way of asking of the last bundle: its heading and the figures of all."""
    for kind, collections in collections_of(bundles[-1]).items():
        for collection in collections:
            for way, words in WAYS.items():
                rows = {
                    each.version: figures[way]
                    for each in bundles
                    if way in (figures := collections_of(each).get(kind, {}).get(collection, {}))
                }
                if rows:
                    name = NO_COLLECTION if collection == NOT_GIVEN else collection
                    heading = f"{name} {KIND_WORDS[kind]}, {words}"
                    yield heading, main_table(rows, "classifier", BY_COLLECTION, pictures=True)


def _told(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    """The figures with what is known beside the pictures and without it, of those of which it is known."""
    for kind, block in bundle.manifest.image_types.items():
        for known, figures in block["metrics"].get("metadata", {}).items():
            for way in figures:
                yield f"{KIND_WORDS[kind]}, {way} {KNOWN[known]}", figures[way]


def _learned_from(bundle: Bundle) -> str:
    """The data sets that the network and those before it have learned; sealing it again with others teaches nothing."""
    own = trained_on(bundle.manifest) or bundle.manifest.dataset["name"]
    earlier = [each["dataset"] for each in bundle.manifest.ancestry if each["relation"] != RESEALED_FROM]
    return ", ".join(dict.fromkeys([own, *earlier]))


def _joint(bundle: Bundle) -> Any:
    """The figures of both pictures of a lesion together; None without any."""
    return bundle.manifest.lesion.get("metrics", {}).get("joint")
