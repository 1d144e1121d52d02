"""Knowledge distillation: a student learns the predictions of its teacher, and unfit teachers are refused."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.fit import TrainingError, fine_tune
from recognition.fit.distillation import keras_teachers, require_teachers, taught
from recognition.inference.bundle import Bundle, read_bundle
from recognition.inference.calibration import softmax
from recognition.inference.learned import Learned
from recognition.inference.network import build_network, network_tensors, set_network_tensors
from recognition.inference.preprocessing import to_input, to_reference
from recognition.recipes import SMOKE, Recipe, RecipeError, changed
from recognition.taxonomy import CODES
from tests.factories import made_picture

NUMBERS = range(4)


def student(**changes: str) -> Recipe:
    return changed(
        SMOKE, {"fine_tune.teacher_share": "1", **{f"fine_tune.{key}": each for key, each in changes.items()}}
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Pictures with random labels."""
    pictures = [
        to_reference(made_picture(code, number, size=(80, 60)), long_side=200) for code in CODES for number in NUMBERS
    ]
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(8), len(NUMBERS)))
    return {
        "references": {"train": pictures, "validation": pictures},
        "labels": {"train": labels, "validation": labels},
    }


@pytest.fixture(scope="module")
def teacher(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


def changed_manifest(bundle: Bundle, **changes: Any) -> Bundle:
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, **changes))


def test_a_share_of_the_truth_is_what_the_teachers_say() -> None:
    truth = np.eye(8, dtype=np.float32)[[0, 3]]
    said = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    offsets = np.log(np.arange(1, 9) / 36).astype(np.float32)
    assert np.array_equal(taught(truth, said, offsets=offsets, share=0.0), truth)
    assert taught(truth, said, offsets=offsets, share=1.0) == pytest.approx(softmax(said + offsets))
    between = taught(truth, said, offsets=offsets, share=0.25)
    assert between == pytest.approx(0.75 * truth + 0.25 * softmax(said + offsets))
    # A student whose logits are the teachers' cannot do better, whatever is added to both.
    asked = taught(truth, said, offsets=offsets, share=1.0)

    def loss(logits: Any) -> float:
        return float(-(asked * np.log(softmax(logits + offsets))).sum())

    others = np.random.default_rng(1).normal(size=(20, 2, 8))
    assert all(loss(said + 0.1 * other) > loss(said) for other in others)


def test_the_teachers_answer_at_the_students_size_with_the_mean_of_their_logits(teacher: Bundle) -> None:
    size = teacher.manifest.preprocessing.input_size
    pixels = np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)
    network = build_network(teacher.manifest.architecture)
    set_network_tensors(network, teacher.network_tensors())
    expected = network.predict_on_batch(pixels)[0]
    both = keras_teachers([teacher, teacher], input_size=size)
    assert both(pixels) == pytest.approx(expected, abs=1e-5)
    smaller = keras_teachers([teacher], input_size=size // 2)
    assert smaller(pixels[:, ::2, ::2]).shape == (3, 8)


def test_a_student_learns_its_teachers_answers_where_the_labels_say_nothing(
    made: dict[str, Any], teacher: Bundle, tmp_path: Path
) -> None:
    import keras

    recipe = student(epochs="40", label_smoothing="0", learn_validation="true")
    size = recipe.architecture.input_size
    pixels = np.stack([to_input(each, input_size=size) for each in made["references"]["train"]])
    answers = softmax(keras_teachers([teacher], input_size=size)(pixels))

    def distance(network: Any) -> float:
        """Mean total variation between the predictions of student and teacher."""
        return float(np.abs(softmax(network.predict_on_batch(pixels)[0]) - answers).sum(axis=1).mean() / 2)

    keras.utils.set_random_seed(1)
    network = build_network(recipe.architecture)
    before = distance(network)
    fine_tune(network, recipe=recipe, run_folder=tmp_path / "taught", teachers=[teacher], **made)
    after = distance(network)
    keras.utils.set_random_seed(1)
    alone = build_network(recipe.architecture)
    fine_tune(alone, recipe=student(epochs="40", teacher_share="0", learn_validation="true"),
              run_folder=tmp_path / "alone", **made)  # fmt: skip
    assert after < 0.6 * before
    assert after < distance(alone)


def test_a_checkpoint_belongs_to_its_teachers(made: dict[str, Any], teacher: Bundle, tmp_path: Path) -> None:
    recipe = student(epochs="1", learn_validation="true")
    fine_tune(build_network(recipe.architecture), recipe=recipe, run_folder=tmp_path, teachers=[teacher], **made)
    other = dataclasses.replace(teacher, sha256="0" * 64)
    with pytest.raises(TrainingError) as refused:
        fine_tune(build_network(recipe.architecture), recipe=recipe, run_folder=tmp_path, teachers=[other], **made)
    assert refused.value.code == "other_run"


KNOWN = Learned.of([])


def test_recipe_and_teachers_come_together(teacher: Bundle) -> None:
    require_teachers(SMOKE, [], learned=[])
    require_teachers(student(), [teacher, teacher], learned=[KNOWN, KNOWN])
    with pytest.raises(RecipeError, match="name at least one"):
        require_teachers(student(), [], learned=[])
    with pytest.raises(RecipeError, match="learns from no teacher"):
        require_teachers(SMOKE, [teacher], learned=[KNOWN])
    with pytest.raises(RecipeError, match="teacher_share lies in"):
        student(teacher_share="1.5")


def test_a_teacher_that_sees_pictures_otherwise_or_of_which_nothing_is_known_is_refused(teacher: Bundle) -> None:
    manifest = teacher.manifest
    with pytest.raises(RecipeError, match="another split"):
        require_teachers(student(), [teacher], learned=[Learned.unknown()])
    padded = dataclasses.replace(manifest.preprocessing, fit="pad")
    with pytest.raises(RecipeError, match="another aspect"):
        require_teachers(student(), [changed_manifest(teacher, preprocessing=padded)], learned=[KNOWN])
    larger = dataclasses.replace(manifest.preprocessing, reference_long_side=400)
    with pytest.raises(RecipeError, match="another scale"):
        require_teachers(student(), [changed_manifest(teacher, preprocessing=larger)], learned=[KNOWN])


def test_a_killed_student_ends_as_an_undisturbed_one(made: dict[str, Any], teacher: Bundle, tmp_path: Path) -> None:
    recipe = student(epochs="2", learn_validation="true")
    start = network_tensors(build_network(recipe.architecture))

    def tuned(folder: str, report: Any = lambda _: None) -> dict[str, Any]:
        network = build_network(recipe.architecture)
        set_network_tensors(network, start)
        fine_tune(network, recipe=recipe, run_folder=tmp_path / folder, teachers=[teacher], report=report, **made)
        return network_tensors(network)

    whole = tuned("whole")

    def killed(progress: Any) -> None:
        if progress.done > progress.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned("cut", killed)
    again = tuned("cut")
    assert all(np.allclose(again[key], whole[key], atol=1e-4) for key in start)
