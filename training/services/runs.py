"""Training runs: request one, begin one in the foreground, resume one. `training.worker` does the work."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from recognition.datasets.ancestry import learns_validation
from recognition.recipes import RECIPES, Recipe, RecipeError, changed
from recognition.taxonomy import CODES
from training.models import Dataset, Example, Job, TrainingRun
from training.services import jobs
from training.services.ancestry import learned_of, picture_ids
from training.services.jobs import JobClaim, JobRejected, require_administrator

LEARNING: Final = tuple(Example.Split.values)
HELD_BACK: Final = (Example.Split.VALIDATION, Example.Split.CALIBRATION, Example.Split.TEST)


def recipe_with(name: str, changes: Mapping[str, str]) -> Recipe:
    """A recipe by name with fields changed (dotted names, text values). Raises JobRejected."""
    if name not in RECIPES:
        raise JobRejected(
            "recipe", _("There is no recipe %(name)s; choose one of %(all)s.")
            % {"name": name, "all": ", ".join(sorted(RECIPES))},
        )  # fmt: skip
    try:
        return changed(RECIPES[name], changes)
    except RecipeError as error:
        raise JobRejected("recipe", str(error)) from error


def request_run(
    *, dataset: Dataset, recipe: Recipe, parent: Classifier | None = None, by: User | None = None
) -> TrainingRun:
    """Queue a run. Raises NotAllowed, and JobRejected if it could only fail."""
    require_administrator(by)
    _check(dataset, recipe, parent)
    with transaction.atomic():
        run = _create(dataset, recipe, parent, by)
        jobs.announce(run)
    return run


def begin_run(*, dataset: Dataset, recipe: Recipe, parent: Classifier | None = None) -> tuple[TrainingRun, JobClaim]:
    """Create and claim a run that the caller carries out in the foreground; no worker sees it waiting.

    Raises JobRejected.
    """
    _check(dataset, recipe, parent)
    with transaction.atomic():
        run = _create(dataset, recipe, parent, None)
        claim = jobs.claim(TrainingRun, run.pk)
    if claim is None:
        raise JobRejected("", _("Another worker took the run."))
    return run, claim


def resume_run(*, run: TrainingRun, by: User | None = None) -> bool:
    """Queue a cancelled or failed run again; it goes on from its last whole checkpoint. False in any other state."""
    require_administrator(by)
    now = timezone.now()
    with transaction.atomic():
        resumed = TrainingRun.objects.filter(pk=run.pk, status__in=[Job.Status.CANCELLED, Job.Status.FAILED]).update(
            status=Job.Status.QUEUED,
            queued=now,
            published=None,
            finished=None,
            cancel_requested=None,
            failure_code="",
            failure_detail="",
            attempts=0,
        )
        if resumed:
            jobs.announce(run)
    return bool(resumed)


def _create(dataset: Dataset, recipe: Recipe, parent: Classifier | None, by: User | None) -> TrainingRun:
    return TrainingRun.objects.create(
        dataset=dataset, recipe=recipe.name, settings=recipe.as_json(), parent=parent, requested_by=by
    )


def warnings_of(dataset: Dataset, recipe: Recipe, parent: Classifier | None = None) -> list[str]:
    """Sentences about what a run could do and its classifier would lack; none of them refuses the run."""
    sentences = []
    if absent := absent_diagnoses(dataset, recipe):
        sentences.append(
            _("There is not one training image of %(diagnoses)s. The classifier will never answer that.")
            % {"diagnoses": ", ".join(absent)}
        )
    if parent is not None and not learned_of(parent).complete:
        sentences.append(
            _(
                "Nobody knows here whether %(parent)s, or a classifier it comes from, has learned images that this run "
                "holds back: the evaluation of the new classifier will say so, and its gates stay closed. Import the "
                "data set that it was trained on to find out."
            )
            % {"parent": parent}
        )
    return sentences


def absent_diagnoses(dataset: Dataset, recipe: Recipe) -> list[str]:
    """Codes of the diagnoses of which a run would not learn a single image, in the order of `CODES`."""
    learned = [Example.Split.TRAIN]
    if learns_validation(recipe.as_json()):
        learned.append(Example.Split.VALIDATION)
    there = set(dataset.measurable().filter(split__in=learned).order_by().values_list("diagnosis", flat=True))
    return [code for code in CODES if code not in there]


def held_back_but_learned(dataset: Dataset, recipe: Recipe, parent: Classifier) -> tuple[str, int, int] | None:
    """The first split that a run holds back although the parent has learned of it, how many images, and of how many.

    Images count of which the parent, or a classifier it comes from, has learned another one of the lesion or patient.
    """
    learned = learned_of(parent)
    for split in HELD_BACK:
        if split == Example.Split.VALIDATION and learns_validation(recipe.as_json()):
            continue
        pictures = picture_ids(dataset, [split])
        # An epoch may be chosen twice on the same images.
        if found := learned.overlap(pictures, chosen=split != Example.Split.VALIDATION):
            return split, len(found), len(pictures)
    return None


def _check_learned(dataset: Dataset, recipe: Recipe, parent: Classifier) -> None:
    found = held_back_but_learned(dataset, recipe, parent)
    if found is None:
        return
    split, count, pictures = found
    if split != Example.Split.VALIDATION:
        advice = _(
            "The figures of the new classifier would flatter it. Choose another classifier, or a data set whose split "
            "holds back what this one has not learned: the one it was trained on, alone or joined with others."
        )
    elif recipe.fine_tune is not None:
        advice = _(
            "They can no longer choose the best epoch: tick “learn validation” (fine_tune.learn_validation), so that "
            "they are learned too and the last epoch is kept."
        )
    else:
        advice = _("They can no longer choose the best epoch. Choose another classifier, or a recipe that fine-tunes.")
    raise JobRejected(
        "parent",
        _(
            "%(parent)s, or a classifier it comes from, has learned %(count)s of the %(pictures)s %(split)s images, or "
            "others of their lesions or patients. %(advice)s"
        )
        % {"parent": parent, "count": count, "pictures": pictures, "split": split, "advice": advice},
    )


def _check(dataset: Dataset, recipe: Recipe, parent: Classifier | None) -> None:
    if not dataset.has_images:
        raise JobRejected(
            "dataset", _("%(name)s has tables only. Import it with its images to train on it.") % {"name": dataset}
        )
    counts = dict(dataset.measurable().values_list("split").annotate(n=Count("pk")).values_list("split", "n"))
    for split in LEARNING:
        if not counts.get(split):
            raise JobRejected(
                "dataset", _("%(name)s has no picture in its %(split)s split. Import more pictures.")
                % {"name": dataset, "split": split},
            )  # fmt: skip
    if parent is None:
        if recipe.continues:
            raise JobRejected("parent", _("%(recipe)s continues a classifier: choose which.") % {"recipe": recipe.name})
        if not recipe.frozen.epochs:
            raise JobRejected(
                "parent", _("With frozen.epochs at 0 a classifier's head is tuned further: choose which.")
            )
        return
    theirs: Mapping[str, Any] = parent.manifest.get("architecture", {})
    if theirs.get("backbone") != recipe.architecture.backbone:
        raise JobRejected(
            "parent", _("%(parent)s has the backbone %(theirs)s; this recipe trains %(ours)s.")
            % {"parent": parent, "theirs": theirs.get("backbone"), "ours": recipe.architecture.backbone},
        )  # fmt: skip
    if (recipe.continues or not recipe.frozen.epochs) and tuple(
        theirs.get("head_units", ())
    ) != recipe.architecture.head_units:
        raise JobRejected(
            "parent",
            _("%(parent)s has another head than %(recipe)s. Choose one with the head that is to go on learning.")
            % {"parent": parent, "recipe": recipe.name},
        )
    _check_learned(dataset, recipe, parent)
