"""Knowledge distillation: part of the label of a picture is the prediction of sealed classifiers, the teachers.

The teachers get the same augmented and mixed pixels as the student (Hinton et al. 2015, "Distilling the knowledge in a
neural network"; Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent"). So the student
does not simply memorise the labels of the few pictures of a rare diagnosis.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.fit.balance import drawn_shares, logit_offsets
from recognition.inference.bundle import Bundle
from recognition.inference.calibration import softmax
from recognition.inference.learned import Learned
from recognition.inference.runtime import KerasBackend
from recognition.recipes import FineTunePhase, Recipe, RecipeError

Teach = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Pixels float32 (N, S, S, 3) in [0, 255] -> the mean of the teachers' logits (N, 8), before any temperature."""


def taught(
    truth: NDArray[np.float32], said: NDArray[np.float32], *, offsets: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """The labels (N, 8) with `share` of them, in [0, 1], replaced by the teachers' probabilities.

    `said` are the teachers' logits (N, 8). `offsets` (8,) are what the loss adds to the student's logits (logit
    adjustment). They are added to the teachers' logits as well, so that the student learns the teachers' logits.
    """
    return np.asarray((1.0 - share) * truth + share * softmax(said + offsets), dtype=np.float32)


def keras_teaching(
    teachers: Sequence[Bundle], labels: NDArray[np.integer], phase: FineTunePhase, *, input_size: int
) -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]] | None:
    """A function from pixels and labels to the labels that are learned, see `taught`; None without teachers."""
    if not teachers:
        return None
    teach = keras_teachers(teachers, input_size=input_size)
    offsets = logit_offsets(drawn_shares(labels, phase.balance), phase.balance.logit_adjustment)
    return lambda pixels, truth: taught(truth, teach(pixels), offsets=offsets, share=phase.teacher_share)


def require_teachers(recipe: Recipe, teachers: Sequence[Bundle], *, learned: Sequence[Learned]) -> None:
    """Raise RecipeError if the recipe and the teachers do not fit together.

    `learned` is what each teacher has learned. Where that is not known completely, it may have learned pictures of this
    run's validation, calibration or test split. Whether it has: `learned.require_unlearned`.
    """
    share = 0.0 if recipe.fine_tune is None else recipe.fine_tune.teacher_share
    if bool(share) is not bool(teachers):
        raise RecipeError(
            f"The recipe {recipe.name} learns from teachers (fine_tune.teacher_share is {share:g}): name at least one."
            if share
            else f"The recipe {recipe.name} learns from no teacher: set fine_tune.teacher_share, or name none."
        )
    for teacher, theirs in zip(teachers, learned, strict=True):
        preprocessing = teacher.manifest.preprocessing
        if not theirs.complete:
            raise RecipeError(
                f"{teacher.version} cannot teach here: it was trained on another split, or continues a classifier that "
                "was, and may have learned pictures that this one holds back."
            )
        if preprocessing.reference_long_side != recipe.reference_long_side:
            raise RecipeError(f"{teacher.version} sees its pictures at another scale; it cannot teach here.")
        if preprocessing.fit != recipe.fit:
            raise RecipeError(f"{teacher.version} sees its pictures with another aspect; it cannot teach here.")


def keras_teachers(teachers: Sequence[Bundle], *, input_size: int) -> Teach:
    """The teachers on the Keras backend of this process, at the student's input size (pixels).

    Raises BundleError for weights that do not fit their network.
    """
    backends = [KerasBackend.from_bundle(teacher, input_size=input_size) for teacher in teachers]

    def teach(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.mean([backend.run(pixels)[0] for backend in backends], axis=0), dtype=np.float32)

    return teach
