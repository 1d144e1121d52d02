"""Own knowledge distillation: part of the truth of a picture is what sealed classifiers say of it.

The teachers look at the very pixels the pupil gets, varied and mixed anew each time (Hinton et al. 2015, "Distilling
the knowledge in a neural network"; Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and
consistent"): there is always something left to learn from them, where the labels of a few dozen pictures are soon known
by heart.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.fit.balance import drawn_shares, logit_offsets
from recognition.inference.bundle import Bundle
from recognition.inference.runtime import KerasBackend, softmax
from recognition.recipes import FineTunePhase, Recipe, RecipeError

Teach = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Pixels float32 (N, S, S, 3) in [0, 255] -> the mean of the teachers' logits, before any temperature, (N, 8)."""


def taught(
    truth: NDArray[np.float32], said: NDArray[np.float32], *, offsets: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """The truth (N, 8) with `share` of it replaced by what the teachers' logits (N, 8) say.

    `offsets` (8,) are what the loss adds to the pupil's logits (logit adjustment). They are added to the teachers' as
    well, so that the pupil is asked for the teachers' logits and not for less of the rare diagnoses.
    """
    return np.asarray((1.0 - share) * truth + share * softmax(said + offsets), dtype=np.float32)


def keras_teaching(
    teachers: Sequence[Bundle], labels: NDArray[np.integer], phase: FineTunePhase, *, input_size: int
) -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]] | None:
    """What makes of pixels and truth the truth that is learned, see `taught`; None without teachers."""
    if not teachers:
        return None
    teach = keras_teachers(teachers, input_size=input_size)
    offsets = logit_offsets(drawn_shares(labels, phase.balance), phase.balance.logit_adjustment)
    return lambda pixels, truth: taught(truth, teach(pixels), offsets=offsets, share=phase.teacher_share)


def require_teachers(recipe: Recipe, teachers: Sequence[Bundle], *, split_fingerprint: str) -> None:
    """Raise RecipeError where recipe and teachers do not go together, or a teacher would spoil what is measured.

    A teacher of another split may have learned pictures that are held back here and would pass them on; so would one
    that learned the validation pictures where this recipe holds them back to choose its epoch.
    """
    phase = recipe.fine_tune
    share = 0.0 if phase is None else phase.teacher_share
    if bool(share) is not bool(teachers):
        raise RecipeError(
            f"The recipe {recipe.name} learns from teachers (fine_tune.teacher_share is {share:g}): name at least one."
            if share
            else f"The recipe {recipe.name} learns from no teacher: set fine_tune.teacher_share, or name none."
        )
    for teacher in teachers:
        theirs = teacher.manifest
        if theirs.split["fingerprint"] != split_fingerprint:
            raise RecipeError(
                f"{teacher.version} cannot teach here: it was trained on another split, and may have learned pictures "
                "that this one holds back."
            )
        if phase is not None and not phase.learn_validation and learned_validation(teacher):
            raise RecipeError(
                f"{teacher.version} has learned the validation pictures, which {recipe.name} holds back to choose its "
                "epoch: set fine_tune.learn_validation, or choose another teacher."
            )
        if theirs.preprocessing.reference_long_side != recipe.preprocessing.reference_long_side:
            raise RecipeError(f"{teacher.version} sees its pictures at another scale; it cannot teach here.")


def learned_validation(bundle: Bundle) -> bool:
    """Whether a classifier was trained on the validation split as well, by its own recipe: a parent's is not asked."""
    return bool((bundle.manifest.recipe.get("fine_tune") or {}).get("learn_validation"))


def keras_teachers(teachers: Sequence[Bundle], *, input_size: int) -> Teach:
    """The teachers on this process's Keras backend, at the pupil's input size whatever theirs is.

    Raises BundleError for weights that do not fit their network.
    """
    backends = [KerasBackend.from_bundle(teacher, input_size=input_size) for teacher in teachers]

    def teach(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.mean([backend.run(pixels)[0] for backend in backends], axis=0), dtype=np.float32)

    return teach
