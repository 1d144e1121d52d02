"""A training in stages: each goes on from the bundle that the one before sealed, with larger pictures.

Small pictures train several times faster, and most is learned with them. A machine that is lost costs one stage at
most: a stage whose bundle is there is not trained again, and the one that was interrupted goes on after its last epoch.
"""

from collections.abc import Sequence
from pathlib import Path

from recognition.datasets.examples import Examples
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import Split
from recognition.fit.run import train_classifier
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.progress import Report, silent
from recognition.recipes import Recipe, RecipeError


def train_in_stages(
    stages: Sequence[Recipe],
    *,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    imagenet_weights: Path | None,
    parent: Bundle | None = None,
    work: Path,
    directory: Path,
    version: str,
    others: OtherPictures | None = None,
    views: int = 1,
    report: Report = silent,
) -> Bundle:
    """Train the stages one after the other and seal the last one in `directory`, the others in `work`/stages.

    The first recipe starts from ImageNet weights or from `parent`, every other one from the bundle before it. `others`
    and `views` are for sealing the last one. Arguments and errors are those of `train_classifier`; a call with the same
    arguments goes on where the last one ended.
    """
    bundle = parent
    for number, recipe in enumerate(stages, start=1):
        is_last = number == len(stages)
        other_pictures, averaged = (others, views) if is_last else (None, 1)
        folder = directory if is_last else work / "stages" / f"{number}-{recipe.name.lower()}"
        there = _sealed(
            folder, recipe, examples=examples, split=split, parent=bundle, others=other_pictures, views=averaged
        )
        bundle = there or train_classifier(
            recipe=recipe,
            examples=examples,
            split=split,
            pictures=pictures,
            imagenet_weights=imagenet_weights if number == 1 else None,
            parent=bundle,
            work=work,
            directory=folder,
            version=version if is_last else f"{version}-{recipe.architecture.input_size}",
            others=other_pictures,
            views=averaged,
            report=report,
        )
    assert bundle is not None, "there is at least one stage"
    return bundle


def _sealed(
    folder: Path,
    recipe: Recipe,
    *,
    examples: Examples,
    split: Split,
    parent: Bundle | None,
    others: OtherPictures | None,
    views: int,
) -> Bundle | None:
    """The bundle in `folder`, if it was made by this recipe from these data and this parent, and sealed this way."""
    try:
        bundle = read_bundle(folder)
        made_by = Recipe.from_json(bundle.manifest.recipe)
    except (BundleError, RecipeError):
        return None
    manifest = bundle.manifest
    came_from = (manifest.provenance.get("parent") or {}).get("sha256")
    same = (
        made_by.identity() == recipe.identity()
        and manifest.dataset["fingerprint"] == examples.fingerprint
        and manifest.split["fingerprint"] == split.fingerprint
        and came_from == (None if parent is None else parent.sha256)
        and manifest.views == views
        and manifest.other_pictures.get("fingerprint") == (None if others is None else others.fingerprint)
    )
    return bundle if same else None
