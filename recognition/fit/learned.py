"""What a run and its parent have learned, and which parent may not continue because of it."""

from dataclasses import replace
from typing import Any, Final

from recognition.datasets.ancestry import PARENT, RESEALED_FROM, ancestors, data_of, learns_validation
from recognition.datasets.examples import Examples
from recognition.datasets.identity import picture_ids
from recognition.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION, Split
from recognition.inference.bundle import Bundle, Manifest
from recognition.inference.learned import Learned
from recognition.recipes import Recipe, RecipeError
from recognition.taxonomy import CODES

WHAT_TO_DO: Final = {
    VALIDATION: (
        "They could no longer choose the epoch: learn them as well (fine_tune.learn_validation, in a recipe that "
        "fine-tunes), or choose another classifier."
    ),
    CALIBRATION: (
        "Its probabilities and thresholds would promise too much: choose another classifier, or data whose split keeps "
        "back what it has not learned (the data set it was trained on, alone or joined with others)."
    ),
    TEST: (
        "Its figures would flatter it: choose another classifier, or data whose split keeps back what it has not "
        "learned (the data set it was trained on, alone or joined with others)."
    ),
}


def learned_here(examples: Examples, split: Split, *, learn_validation: bool) -> Learned:
    """What a training on these data learns: the training pictures. Validation is learned too, or chooses the epoch."""
    train, validation = (picture_ids(examples.table, split.images(name)) for name in (TRAIN, VALIDATION))
    return Learned.of([*train, *validation]) if learn_validation else Learned.of(train, validation)


def learned_by(bundle: Bundle, examples: Examples, split: Split) -> Learned:
    """What the network of a bundle and its ancestors have learned.

    An older bundle does not say. Of such a one it is known if it was trained with this split, and its ancestors too.
    """
    said = bundle.learned()
    if said is not None:
        return said
    if bundle.manifest.split.get("fingerprint") != split.fingerprint:
        return Learned.unknown()
    known = all(each["split_fingerprint"] == split.fingerprint for each in ancestors(_json(bundle.manifest)))
    return replace(learned_here(examples, split, learn_validation=learned_validation(bundle)), complete=known)


def learned_validation(bundle: Bundle) -> bool:
    """Whether the recipe of a classifier learned the validation split as well. A parent's recipe does not count."""
    return learns_validation(bundle.manifest.recipe)


def absent_diagnoses(examples: Examples, split: Split, *, learn_validation: bool) -> list[str]:
    """Codes of the diagnoses of which not one picture is learned, in the order of `CODES`."""
    images = [*split.images(TRAIN), *(split.images(VALIDATION) if learn_validation else ())]
    there = set(examples.table.loc[examples.table["image"].isin(images), "diagnosis"])
    return [code for code in CODES if code not in there]


def ancestry(*, parent: Bundle | None = None, resealed: Bundle | None = None) -> list[dict[str, Any]]:
    """The manifest's list of the classifiers that a new one comes from, and of those that these come from.

    `relation` is that to the classifier that names the ancestor. Names and fingerprints are "" where nobody knows them.
    `sources` are names of `datasets.sources`.
    """
    found: dict[str, dict[str, Any]] = {}
    for relation, bundle in ((PARENT, parent), (RESEALED_FROM, resealed)):
        if bundle is None:
            continue
        manifest = _json(bundle.manifest)
        itself = {"version": bundle.version, "sha256": bundle.sha256, "relation": relation, **data_of(manifest)}
        for entry in (itself, *ancestors(manifest)):
            known = found.setdefault(entry["sha256"], entry)
            found[entry["sha256"]] = {name: known[name] or value for name, value in entry.items()}
    return list(found.values())


def require_unlearned(recipe: Recipe, version: str, learned: Learned, *, examples: Examples, split: Split) -> None:
    """Raise RecipeError if a classifier (its version and what it learned) has learned what this run holds back."""
    for name in (VALIDATION, CALIBRATION, TEST):
        if name == VALIDATION and learns_validation(recipe.as_json()):
            continue
        pictures = picture_ids(examples.table, split.images(name))
        # To have chosen an epoch on the pictures that choose one now, as SEED_TRANSFER before SEED_FINE_TUNE, hurts no
        # figure.
        if count := len(learned.overlap(pictures, chosen=name != VALIDATION)):
            raise RecipeError(
                f"{version}, or a classifier it comes from, has learned {count} of the {len(pictures)} {name} "
                f"pictures, or others of their lesions or patients. {WHAT_TO_DO[name]}"
            )


def _json(manifest: Manifest) -> dict[str, Any]:
    names = ("ancestry", "provenance", "dataset", "split")
    return {name: getattr(manifest, name) for name in names}
