"""Training: sampling of rare diagnoses, resuming after a kill, and runs that end with an error code."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.fit import TrainingError, fine_tune, fit_head
from recognition.fit.augment import augmented
from recognition.fit.balance import (
    balanced_loss,
    class_weights,
    drawn_shares,
    epoch_order,
    logit_offsets,
    one_hot,
    targets,
)
from recognition.fit.batches import batches
from recognition.fit.checkpoints import load_checkpoint, save_checkpoint
from recognition.fit.learning_pictures import LearningPictures, PictureCache
from recognition.fit.norms import measure_norms, measuring_batches
from recognition.inference.network import build_network, network_tensors, set_network_tensors
from recognition.inference.preprocessing import preprocess, to_input, to_reference
from recognition.progress import Cancelled, Progress
from recognition.recipes import BATCH_NORMS, SMOKE, Augmentation, ClassBalance, Recipe, RecipeError, changed
from recognition.taxonomy import CODES
from tests.factories import made_picture

RARE = np.array([0] * 10 + [1] * 90)
ONE_SOURCE = np.zeros(100, int)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Reference pictures and labels of both learning splits."""
    pictures, labels = {}, {}
    for split, numbers in (("train", range(12)), ("validation", range(50, 53))):
        pictures[split] = [
            to_reference(made_picture(code, number, size=(80, 60)), long_side=200)
            for code in CODES
            for number in numbers
        ]
        labels[split] = np.repeat(np.arange(8), len(numbers))
    return {"references": pictures, "labels": labels}


def short(**changes: str) -> Recipe:
    return changed(
        SMOKE, {"fine_tune.epochs": "3", **{name.replace("__", "."): value for name, value in changes.items()}}
    )


def tuned(made: dict[str, Any], recipe: Recipe, folder: Path, report: Any = lambda _: None) -> tuple[Any, Any]:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    network = build_network(recipe.architecture)
    return network, fine_tune(network, recipe=recipe, run_folder=folder, report=report, **made)


def moved_by(made: dict[str, Any], recipe: Recipe, folder: Path) -> tuple[Any, dict[str, Any], set[str]]:
    """The tuned network, its weights from before, and the names of those that are no longer what they were."""
    import keras

    keras.utils.set_random_seed(recipe.seed)
    before = network_tensors(build_network(recipe.architecture))
    network, _ = tuned(made, recipe, folder)
    after = network_tensors(network)
    return network, before, {key for key in before if not np.array_equal(before[key], after[key])}


def test_the_last_epoch_is_kept_where_validation_is_learned(made: dict[str, Any], tmp_path: Path) -> None:
    _, best = tuned(made, short(), tmp_path / "best")
    _, last = tuned(made, short(fine_tune__learn_validation="true"), tmp_path / "last")
    scores = [epoch["balanced_accuracy"] for epoch in best.epochs]
    assert best.best_epoch == int(np.argmax(scores))
    assert last.best_epoch == 2


def test_the_network_ends_with_the_weights_of_its_best_epoch_and_not_of_its_last(
    made: dict[str, Any], tmp_path: Path
) -> None:
    """The validation labels are the predictions of the first epoch's weights: no later epoch does better."""

    def stop(progress: Progress) -> None:
        if progress.done > progress.total / 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        tuned(made, short(), tmp_path / "first", stop)
    checkpoint = load_checkpoint(tmp_path / "first")
    assert checkpoint is not None
    first = {key.removeprefix("best/"): value for key, value in checkpoint[1].items() if key.startswith("best/")}
    network = build_network(short().architecture)
    set_network_tensors(network, first)
    size = short().architecture.input_size
    inputs = np.stack([to_input(picture, input_size=size) for picture in made["references"]["validation"]])
    said = np.asarray(network.predict_on_batch(inputs)[0]).argmax(axis=1)
    network, history = tuned(made | {"labels": made["labels"] | {"validation": said}}, short(), tmp_path / "all")
    scores = [epoch["balanced_accuracy"] for epoch in history.epochs]
    assert scores[0] > max(scores[1:])
    assert history.best_epoch == 0
    kept = network_tensors(network)
    assert all(np.allclose(kept[key], value, atol=1e-5) for key, value in first.items())


class SpoiledStore:
    """Pictures by name; reading the one called "spoiled" raises ExamplesError."""

    def picture(self, image: str) -> Image.Image:
        if image == "spoiled":
            raise ExamplesError([FileProblem("spoiled.jpg", 0, "cannot be read.")])
        return made_picture("NV", int(image), size=(80, 60))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_unreadable_picture_ends_the_fine_tuning_with_its_name(split: str, tmp_path: Path) -> None:
    recipe = short()
    assert recipe.fine_tune is not None
    labels = {each: np.repeat(np.arange(8), 12) for each in ("train", "validation")}
    names = {each: [str(number) for number in range(96)] for each in labels}
    steps = 96 // recipe.fine_tune.batch_size
    order = epoch_order(
        labels["train"], np.zeros(96, int), recipe.fine_tune.balance,
        drawn=steps * recipe.fine_tune.batch_size, seed=recipe.seed, epoch=0,
    )  # fmt: skip
    # In the last batch: Keras reads the first two before TensorFlow runs.
    assert steps > 2
    names[split][int(order[-1]) if split == "train" else -1] = "spoiled"
    references = {
        each: LearningPictures(
            names[each], pictures=SpoiledStore(), preprocessing=recipe.preprocessing, cache=PictureCache()
        )
        for each in names
    }
    with pytest.raises(ExamplesError, match=r"spoiled\.jpg"):
        tuned({"references": references, "labels": labels}, recipe, tmp_path)


def test_shares_and_weights_follow_their_powers() -> None:
    assert drawn_shares(RARE, ONE_SOURCE, ClassBalance())[0, :2].tolist() == [0.1, 0.9]
    assert drawn_shares(RARE, ONE_SOURCE, ClassBalance(sampling_power=1.0))[0, :2].tolist() == [0.5, 0.5]
    assert drawn_shares(RARE, ONE_SOURCE, ClassBalance(sampling_power=0.5))[0, :2] == pytest.approx([0.25, 0.75])
    weights = class_weights(RARE, ClassBalance(weight_power=1.0))
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0] == pytest.approx(9 * weights[-1])


TWO_SOURCES = np.repeat([0, 1], [90, 10])
OF_TWO = np.r_[np.repeat([0, 1], [80, 10]), np.repeat([0, 1], [1, 9])]
"""Diagnoses of 90 pictures of the first source, mostly 0, and of ten of the second, mostly 1."""


def test_a_small_source_is_drawn_often_and_a_diagnosis_by_its_share_in_the_source() -> None:
    assert drawn_shares(OF_TWO, TWO_SOURCES, ClassBalance()).sum(axis=1).tolist() == pytest.approx([0.9, 0.1])
    shares = drawn_shares(OF_TWO, TWO_SOURCES, ClassBalance(source_sampling_power=0.5, sampling_power=0.5))
    assert shares.sum() == pytest.approx(1.0)
    assert shares.sum(axis=1) == pytest.approx([0.75, 0.25])  # 3 to 1, where there are 9 to 1
    assert shares[1, 1] / shares[1, 0] == pytest.approx(3.0)
    assert not shares[:, 2:].any()  # what is not there is not drawn
    balance = ClassBalance(source_sampling_power=1.0)
    order = epoch_order(OF_TWO, TWO_SOURCES, balance, drawn=100, seed=1, epoch=0)
    assert np.bincount(TWO_SOURCES[order]).tolist() == [50, 50]
    assert len({*order[TWO_SOURCES[order] == 1].tolist()}) == 10


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0])
def test_one_source_is_drawn_and_adjusted_as_without_sources(power: float) -> None:
    counts = np.array([40, 60, 20, 5, 9, 3, 2, 1])
    labels = np.random.default_rng(5).permutation(np.repeat(np.arange(8), counts))
    sources = np.zeros_like(labels)
    balance = ClassBalance(sampling_power=power, source_sampling_power=0.5, logit_adjustment=1.0)
    shares = counts ** (1.0 - power) / (counts ** (1.0 - power)).sum()
    for epoch in range(3):
        drawn = np.diff(np.r_[0, np.floor(np.cumsum(shares) * 70 + 0.5).astype(int)])
        cycles = [
            np.concatenate([np.random.default_rng([1, label, cycle]).permutation(np.flatnonzero(labels == label))
                            for cycle in range(epoch * 70 + 71)])[epoch * drawn[label] : (epoch + 1) * drawn[label]]
            for label in range(8)
        ]  # fmt: skip
        expected = np.random.default_rng([1, 101, epoch]).permutation(np.concatenate(cycles))
        assert np.array_equal(epoch_order(labels, sources, balance, drawn=70, seed=1, epoch=epoch), expected)
    assert logit_offsets(labels, sources, balance) == pytest.approx(np.tile(np.log(shares), (140, 1)), abs=1e-6)


def test_a_source_without_training_pictures_changes_nothing() -> None:
    """Sources are numbered over both learning splits, so a number may have no picture in one of them."""
    balance = ClassBalance(source_sampling_power=0.5, logit_adjustment=1.0)
    shares = drawn_shares(OF_TWO, 2 * TWO_SOURCES, balance)
    assert np.array_equal(shares[::2], drawn_shares(OF_TWO, TWO_SOURCES, balance))
    assert not shares[1].any()
    ours, theirs = (logit_offsets(OF_TWO, sources, balance) for sources in (2 * TWO_SOURCES, TWO_SOURCES))
    assert np.array_equal(ours, theirs)


def test_a_network_that_sees_the_source_alone_does_not_answer_by_it() -> None:
    import keras

    counts = np.array([[40, 4, *[2] * 6], [4, 40, *[2] * 6]])
    labels = np.concatenate([np.repeat(np.arange(8), each) for each in counts])
    sources = np.repeat([0, 1], counts.sum(axis=1))
    inputs = np.eye(2, dtype=np.float32)[sources]  # nothing of the diagnosis

    def answers(numbers: Any) -> Any:
        """The probabilities that it learns for a picture of each source, where the loss is told these sources."""
        keras.utils.set_random_seed(1)
        network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(8, use_bias=False)])
        network.compile(optimizer=keras.optimizers.Adam(0.1), loss=balanced_loss(smoothing=0.0))
        truth = targets(labels, logit_offsets(labels, numbers, ClassBalance(logit_adjustment=1.0)))
        network.fit(inputs, truth, batch_size=len(labels), epochs=300, verbose=0)
        return np.asarray(keras.ops.softmax(network(np.eye(2, dtype=np.float32))))

    assert answers(sources) == pytest.approx(1 / 8, abs=0.01)
    pooled = answers(np.zeros_like(sources))
    assert pooled[0, 0] > 5 * pooled[0, 1]  # so it would answer without
    assert pooled[1, 1] > 5 * pooled[1, 0]


def test_an_epoch_draws_every_picture_before_any_comes_twice() -> None:
    balance = ClassBalance(sampling_power=1.0)
    orders = [epoch_order(RARE, ONE_SOURCE, balance, drawn=60, seed=1, epoch=epoch) for epoch in range(3)]
    assert all(np.bincount(RARE[order]).tolist() == [30, 30] for order in orders)
    together = np.concatenate(orders)
    assert np.bincount(together, minlength=100)[:10].tolist() == [9] * 10  # 90 draws of ten pictures
    assert np.bincount(together, minlength=100)[10:].tolist() == [1] * 90
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[1], epoch_order(RARE, ONE_SOURCE, balance, drawn=60, seed=1, epoch=1))


def test_logit_adjustment_asks_more_of_what_is_rare_in_the_pictures_own_source() -> None:
    logits = np.zeros((100, 8), np.float32)
    plain, adjusted = (
        np.asarray(
            balanced_loss(smoothing=0.0)(
                targets(OF_TWO, logit_offsets(OF_TWO, TWO_SOURCES, ClassBalance(logit_adjustment=power))), logits
            )
        )
        for power in (0.0, 1.0)
    )
    assert plain == pytest.approx(np.log(8), abs=1e-5)
    # Six diagnoses are in neither source. Each counts as one picture: as rare, not as impossible.
    first, second = 90 + 6, 10 + 6
    assert adjusted[[0, 89]] == pytest.approx(-np.log([80 / first, 10 / first]), abs=1e-4)
    assert adjusted[[90, 99]] == pytest.approx(-np.log([1 / second, 9 / second]), abs=1e-4)


def test_a_focal_gamma_of_0_is_the_cross_entropy_and_more_looks_away_from_what_is_learned() -> None:
    import keras

    generator = np.random.default_rng(4)
    logits = generator.normal(0, 2, (6, 8)).astype(np.float32)
    soft = generator.dirichlet(np.ones(8), 6).astype(np.float32)  # labels may be mixed
    offsets = np.zeros((6, 8), np.float32)

    def loss(truth: Any, gamma: float, smoothing: float = 0.0) -> Any:
        truth = np.concatenate([truth, offsets], axis=1)
        return np.asarray(balanced_loss(smoothing=smoothing, focal_gamma=gamma)(truth, logits))

    # A gamma of next to nothing goes through the other formula, and must agree with Keras's own.
    for truth in (soft, one_hot(np.arange(6))):
        for smoothing in (0.0, 0.1):
            assert loss(truth, 1e-9, smoothing) == pytest.approx(loss(truth, 0.0, smoothing), rel=1e-4)
    hard = one_hot(np.arange(6))
    probability = np.asarray(keras.ops.softmax(logits))[np.arange(6), np.arange(6)]
    assert loss(hard, 2.0) == pytest.approx((1 - probability) ** 2 * -np.log(probability), rel=1e-3)
    certain = np.asarray(
        balanced_loss(smoothing=0.0, focal_gamma=0.5)(targets(np.array([0]), offsets[:1]), 200.0 * hard[:1])
    )
    assert np.isfinite(certain).all()


def test_focal_loss_and_mixup_train_in_both_phases(made: dict[str, Any], tmp_path: Path) -> None:
    recipe = short(
        fine_tune__balance__focal_gamma="2", fine_tune__mixup_alpha="0.2",
        fine_tune__augmentation__randaugment_operations="1",
    )  # fmt: skip
    _, history = tuned(made, recipe, tmp_path)
    losses = [each["loss"] for each in history.epochs]
    assert losses[-1] < losses[0]


def test_half_of_the_pictures_lose_detail_and_half_get_the_marks_of_jpeg() -> None:
    picture = made_picture("MEL", 3, size=(80, 60))
    plain = Augmentation()

    def all_of(augmentation: Augmentation) -> Any:
        return np.stack(
            [
                augmented(picture, input_size=64, augmentation=augmentation, generator=np.random.default_rng(seed))
                for seed in range(200)
            ]
        )

    for worse in (replace(plain, detail_min=0.3), replace(plain, jpeg_quality_min=30)):
        found = all_of(worse)
        assert found.dtype == np.float32
        assert found.min() >= 0.0
        assert found.max() <= 255.0
        # They come after all else is drawn, so the others are what they are without.
        changed_ones = np.any(found != all_of(plain), axis=(1, 2, 3)).mean()
        assert 0.4 < changed_ones < 0.6
        assert np.array_equal(found, all_of(worse))


def test_an_unchanged_augmentation_is_the_preprocessing_of_serving() -> None:
    nothing = Augmentation(False, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    picture = made_picture("MEL", 1)
    varied = augmented(picture, input_size=64, augmentation=nothing, generator=np.random.default_rng(0))
    recipe = changed(SMOKE, {"architecture.input_size": "64"})
    assert np.allclose(varied, preprocess(picture, recipe.preprocessing), atol=1e-3)


def test_augmentation_varies_within_the_range_of_pixels() -> None:
    strong = Augmentation(brightness=0.5, contrast=0.5, saturation=0.5, hue_shift=0.2, cutout_share=0.3)
    generator = np.random.default_rng(0)
    picture = made_picture("NV", 1, size=(200, 113))
    seen = [augmented(picture, input_size=48, augmentation=strong, generator=generator) for _ in range(30)]
    assert all(each.shape == (48, 48, 3) and each.dtype == np.float32 for each in seen)
    assert min(each.min() for each in seen) >= 0.0
    assert max(each.max() for each in seen) <= 255.0
    assert len({each.tobytes() for each in seen}) == 30


OF_SOURCES = {
    "fine_tune__balance__source_sampling_power": "0.5",
    "fine_tune__balance__logit_adjustment": "1",
    "fine_tune__augmentation__detail_min": "0.4",
    "fine_tune__augmentation__jpeg_quality_min": "40",
}


@pytest.mark.parametrize(
    "settings", [*({"fine_tune__batch_norm": each} for each in BATCH_NORMS), OF_SOURCES], ids=[*BATCH_NORMS, "sources"]
)
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    made: dict[str, Any], settings: dict[str, str], tmp_path: Path
) -> None:
    recipe = short(**settings)
    if settings is OF_SOURCES:
        made = made | {"sources": np.arange(96) % 5 // 4}
    whole, history = tuned(made, recipe, tmp_path / "whole")

    def kill(progress: Progress) -> None:
        if progress.done > 0.5 * progress.total:  # in the middle of the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(made, recipe, tmp_path / "killed", kill)
    found = load_checkpoint(tmp_path / "killed")
    assert found is not None
    assert found[0] == 0
    seen: list[int] = []
    resumed, again = tuned(made, recipe, tmp_path / "killed", lambda progress: seen.append(progress.done))
    assert seen[0] == 6 + 1  # 96 pictures in batches of 16: the second epoch begins anew
    assert len(again.epochs) == 3
    assert again.best_epoch == history.best_epoch
    for key, value in network_tensors(whole).items():
        assert np.allclose(network_tensors(resumed)[key], value, atol=2e-3), key


def test_a_finished_run_is_not_trained_again(made: dict[str, Any], tmp_path: Path) -> None:
    network, _ = tuned(made, short(), tmp_path)
    reports: list[Progress] = []
    again, _ = tuned(made, short(), tmp_path, reports.append)
    assert reports == []
    assert all(np.array_equal(value, network_tensors(network)[key]) for key, value in network_tensors(again).items())


def test_a_cancelled_run_stops_at_once_and_keeps_its_checkpoint(made: dict[str, Any], tmp_path: Path) -> None:
    calls: list[Progress] = []

    def cancel(progress: Progress) -> None:
        calls.append(progress)
        if progress.done == 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        tuned(made, short(), tmp_path, cancel)
    assert calls[-1].done == 8
    assert load_checkpoint(tmp_path) is not None


def test_a_folder_of_another_run_is_refused(made: dict[str, Any], tmp_path: Path) -> None:
    tuned(made, short(fine_tune__epochs="1"), tmp_path)
    with pytest.raises(TrainingError) as caught:
        tuned(made, short(fine_tune__epochs="2"), tmp_path)
    assert caught.value.code == "other_run"


def test_a_run_of_other_sources_is_another_run(made: dict[str, Any], tmp_path: Path) -> None:
    tuned(made, short(), tmp_path)
    with pytest.raises(TrainingError) as caught:
        tuned(made | {"sources": np.arange(96) % 2}, short(), tmp_path)
    assert caught.value.code == "other_run"


def test_a_run_that_diverges_ends_with_that_reason(made: dict[str, Any], tmp_path: Path) -> None:
    broken = dict(
        made, references=made["references"] | {"train": [Broken(each) for each in made["references"]["train"]]}
    )
    with pytest.raises(TrainingError) as caught:
        tuned(broken, short(), tmp_path)
    assert caught.value.code == "diverged"


class Broken:
    """A picture whose pixels are not numbers."""

    def __init__(self, picture: Image.Image) -> None:
        self.size = picture.size

    def resize(self, size: tuple[int, int], *_: object, **__: object) -> np.ndarray:
        return np.full((*size, 3), np.nan)


def test_batch_norm_and_frozen_blocks_stay_as_they_were(made: dict[str, Any], tmp_path: Path) -> None:
    _, before, moved = moved_by(made, short(fine_tune__frozen_blocks="2", fine_tune__epochs="1"), tmp_path)
    assert moved == {key for key in before if not key.startswith(("stem_", "block1_")) and "_bn/" not in key}


def test_learned_batch_norm_serves_with_the_statistics_of_the_weights_that_are_kept(
    made: dict[str, Any], tmp_path: Path
) -> None:
    import keras

    recipe = short(fine_tune__frozen_blocks="2", fine_tune__batch_norm="trained", fine_tune__epochs="1")
    phase, labels = recipe.fine_tune, made["labels"]["train"]
    assert phase is not None
    network, before, moved = moved_by(made, recipe, tmp_path)
    after = network_tensors(network)
    assert moved == {key for key in before if not key.startswith(("stem_", "block1_"))}
    dropouts = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    momenta = [layer.momentum for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in network.layers:
        layer.trainable = not layer.name.startswith(("stem_", "block1"))
    drawn = batches(
        made["references"]["train"],
        one_hot(labels),
        weights=class_weights(labels, phase.balance),
        order=epoch_order(labels, np.zeros_like(labels), phase.balance, drawn=len(labels), seed=recipe.seed, epoch=0),
        recipe=recipe,
        phase=phase,
        epoch=0,
    )
    measured = list(measuring_batches(drawn, phase))
    assert all(np.array_equal(pixels, drawn[place][0]) for place, pixels in enumerate(measured))  # as it was trained
    assert sum(map(len, measured)) == len(labels)
    assert not list(measuring_batches(drawn, replace(phase, batch_norm="frozen")))
    measure_norms(network, measured)
    again = network_tensors(network)
    assert all(np.allclose(again[key], after[key], atol=1e-4) for key in after)
    assert dropouts == [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert momenta == [each.momentum for each in network.layers if isinstance(each, keras.layers.BatchNormalization)]
    with pytest.raises(RecipeError, match="batch_size is at least 8"):
        short(fine_tune__batch_norm="trained", fine_tune__batch_size="4")


def test_the_best_epoch_of_the_head_is_kept_with_its_standardisation_folded_in() -> None:
    import keras

    generator = np.random.default_rng(0)
    centres = generator.normal(0.0, 1.0, (8, 32))
    labels = {"train": np.repeat(np.arange(8), 20), "validation": np.repeat(np.arange(8), 10)}
    features = {
        name: np.asarray(50.0 + 9.0 * (centres[each] + generator.normal(0, 0.4, (each.size, 32))), np.float32)
        for name, each in labels.items()
    }
    recipe = changed(SMOKE, {"frozen.epochs": "12"})
    network = build_network(recipe.architecture)
    history = fit_head(network, recipe=recipe, features=features, labels=labels)
    head = keras.Model(network.get_layer("features").output, network.outputs[0])
    called = np.asarray(head.predict_on_batch(features["validation"])).argmax(axis=1)
    found = np.mean([(called[labels["validation"] == each] == each).mean() for each in range(8)])
    assert found == pytest.approx(history.best_score)
    assert found > 0.9


def test_the_head_ends_with_the_weights_of_its_best_epoch_and_not_of_its_last() -> None:
    """The validation labels are the predictions of the first epoch's head: no later epoch does better."""
    import keras

    generator = np.random.default_rng(1)
    train = np.repeat(np.arange(8), 20)
    centres = generator.normal(0.0, 1.0, (8, 32))
    features = {
        "train": np.asarray(centres[train] + generator.normal(0, 0.4, (train.size, 32)), np.float32),
        "validation": generator.normal(0, 1.0, (200, 32)).astype(np.float32),
    }

    def fitted(epochs: int, validation: Any) -> tuple[Any, Any, Any]:
        recipe = changed(SMOKE, {"frozen.epochs": str(epochs)})
        network = build_network(recipe.architecture)
        labels = {"train": train, "validation": validation}
        history = fit_head(network, recipe=recipe, features=features, labels=labels)
        head = keras.Model(network.get_layer("features").output, network.outputs[0])
        return head.get_weights(), history, np.asarray(head.predict_on_batch(features["validation"])).argmax(axis=1)

    first, _, said = fitted(1, np.arange(200) % 8)
    kept, history, again = fitted(6, said)
    scores = [epoch["balanced_accuracy"] for epoch in history.epochs]
    assert scores[0] > max(scores[1:])
    assert history.best_epoch == 0
    assert np.array_equal(again, said)
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(kept, first, strict=True))


def test_a_checkpoint_cut_in_half_falls_back_to_the_one_before(tmp_path: Path) -> None:
    for epoch in range(4):
        tensors = {"a": np.full(1000, float(epoch), np.float32), "step": np.asarray(epoch)}
        save_checkpoint(tmp_path, epoch=epoch, tensors=tensors, state={"epoch": epoch})
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == ["epoch-0002", "epoch-0003"]
    newest = tmp_path / "epoch-0003.safetensors"
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found[0], found[2]) == (2, {"epoch": 2})
    assert found[1]["a"][0] == 2.0
    assert found[1]["step"].shape == ()
    (tmp_path / "epoch-0002.json").write_bytes(b"{")
    assert load_checkpoint(tmp_path) is None


def test_a_folder_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nowhere") is None
