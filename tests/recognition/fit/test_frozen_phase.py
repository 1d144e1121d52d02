"""The frozen phase: equal to an ordinary `fit`, its learning rate schedule, and resuming after a stop."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.fit import TrainingError, fit_head
from recognition.fit.balance import epoch_order
from recognition.fit.head import learning_rate_after
from recognition.inference.network import FEATURES, Architecture, build_network, network_tensors
from recognition.progress import Progress
from recognition.recipes import (
    FINE_TUNE,
    RECIPES,
    SEED_FINE_TUNE,
    SEED_TRANSFER,
    SMOKE,
    FrozenPhase,
    Recipe,
    RecipeError,
    changed,
)
from recognition.taxonomy import CODES

# The published training in small: its optimiser, its plain sampling, no standardisation, two hidden layers.
SMALL_SEED = Recipe(
    name="SMALL_SEED",
    expected="",
    architecture=Architecture("tiny", 32, head_units=(16, 12), head_dropouts=(0.0, 0.0, 0.0)),
    frozen=dataclasses.replace(SEED_TRANSFER.frozen, epochs=4, batch_size=16),
)

IDENTITIES = {
    "LINEAR_PROBE": "b7c2a2912e57", "FINE_TUNE": "98fb2671b119", "SEED_TRANSFER": "18780285bd10",
    "SEED_FINE_TUNE": "149b4a4bd63e", "SMOKE": "2077f4c65b2a",
    "STAGE_192": "8bb59726487d", "STAGE_256": "8539c1380272", "STAGE_300": "ed48ada65dd7",
}  # fmt: skip
"""The first letters of the sha256 of each recipe's identity, as in checkpoints of November 2026."""


class Stop(Exception):
    pass


def pictures(count: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    labels = np.arange(count) % len(CODES)
    random = np.random.default_rng(seed)
    colours = (
        random.uniform(40, 215, size=(len(CODES), 3))
        if seed == 0
        else np.random.default_rng(0).uniform(40, 215, (8, 3))
    )
    pixels = colours[labels][:, None, None, :] + random.normal(0, 12, size=(count, 32, 32, 3))
    return np.clip(pixels, 0, 255).astype(np.float32), labels


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    train, train_labels = pictures(96, 0)
    validation, validation_labels = pictures(32, 1)
    return {
        "pixels": {"train": train, "validation": validation},
        "labels": {"train": train_labels, "validation": validation_labels},
    }


def features_of(network: Any, pixels: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(network.predict(table, verbose=0)[1]) for name, table in pixels.items()}


def test_cached_features_give_the_weights_of_an_ordinary_fit_through_the_frozen_backbone(made: dict[str, Any]) -> None:
    import keras

    phase = SMALL_SEED.frozen
    ours = build_network(SMALL_SEED.architecture)
    theirs = build_network(SMALL_SEED.architecture)
    theirs.set_weights(ours.get_weights())

    # The ordinary way: the whole network, its backbone not trainable, fed with pixels batch by batch.
    keras.utils.set_random_seed(SMALL_SEED.seed)
    from recognition.inference.network import build_head

    fresh_head = network_tensors(build_head(SMALL_SEED.architecture, ours.get_layer(FEATURES).output.shape[-1]))
    heads = set(SMALL_SEED.architecture.head_layers)
    for layer in theirs.layers:
        layer.trainable = layer.name in heads
        for variable in layer.weights:
            key = f"{layer.name}/{variable.name}"
            if key in fresh_head:
                variable.assign(fresh_head[key])
    model = keras.Model(theirs.inputs, theirs.outputs[0])
    model.compile(
        keras.optimizers.Adam(phase.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    truth = np.eye(len(CODES), dtype=np.float32)[made["labels"]["train"]]
    best, kept, accuracies = np.inf, {}, []
    for epoch in range(phase.epochs):
        order = epoch_order(
            made["labels"]["train"], np.zeros(len(truth), int), phase.balance,
            drawn=len(truth), seed=SMALL_SEED.seed, epoch=epoch,
        )  # fmt: skip
        fitted = model.fit(
            made["pixels"]["train"][order], truth[order], batch_size=phase.batch_size, shuffle=False, verbose=0,
            validation_data=(made["pixels"]["validation"], np.eye(8)[made["labels"]["validation"]]),
        )  # fmt: skip
        accuracies.append((fitted.history["accuracy"][0], fitted.history["val_accuracy"][0]))
        if fitted.history["val_loss"][0] < best:
            best, kept = fitted.history["val_loss"][0], network_tensors(theirs)

    history = fit_head(ours, recipe=SMALL_SEED, features=features_of(ours, made["pixels"]), labels=made["labels"])
    found = network_tensors(ours)
    assert -history.best_score == pytest.approx(best, abs=1e-5)
    ours_by_epoch = [(each["accuracy"], each["validation_accuracy"]) for each in history.epochs]
    assert ours_by_epoch == [pytest.approx(each, abs=1e-6) for each in accuracies]
    for key, value in kept.items():
        np.testing.assert_allclose(found[key], value, atol=2e-5, err_msg=key)
    assert any(np.abs(found[key] - fresh_head[key]).max() > 0.01 for key in fresh_head)  # it did train


def test_stopped_twice_it_ends_where_an_undisturbed_one_ends(made: dict[str, Any], tmp_path: Path) -> None:
    # With dropout, so that the state of its random generator has to survive as well.
    recipe = dataclasses.replace(
        SMALL_SEED, architecture=dataclasses.replace(SMALL_SEED.architecture, head_dropouts=(0.2, 0.3, 0.1))
    )
    start = build_network(recipe.architecture)
    features = features_of(start, made["pixels"])

    def fresh() -> Any:
        network = build_network(recipe.architecture)
        network.set_weights(start.get_weights())
        return network

    whole = fresh()
    expected = fit_head(whole, recipe=recipe, features=features, labels=made["labels"])

    def stop_at(epoch: int) -> Any:
        def report(progress: Progress) -> None:
            if progress.figures and progress.done == epoch:
                raise Stop

        return report

    for epoch in (1, 3):
        with pytest.raises(Stop):
            fit_head(
                fresh(), recipe=recipe, features=features, labels=made["labels"], run_folder=tmp_path,
                report=stop_at(epoch),
            )  # fmt: skip
    resumed = fresh()
    history = fit_head(resumed, recipe=recipe, features=features, labels=made["labels"], run_folder=tmp_path)
    assert history == expected
    for key, value in network_tensors(whole).items():
        np.testing.assert_array_equal(network_tensors(resumed)[key], value, err_msg=key)


def test_a_folder_of_another_recipe_is_refused(made: dict[str, Any], tmp_path: Path) -> None:
    network = build_network(SMALL_SEED.architecture)
    features = features_of(network, made["pixels"])
    fit_head(network, recipe=SMALL_SEED, features=features, labels=made["labels"], run_folder=tmp_path)
    other = dataclasses.replace(SMALL_SEED, frozen=dataclasses.replace(SMALL_SEED.frozen, learning_rate=0.01))
    with pytest.raises(TrainingError) as refused:
        fit_head(network, recipe=other, features=features, labels=made["labels"], run_folder=tmp_path)
    assert refused.value.code == "other_run"


def test_continuing_starts_from_the_head_that_is_there(made: dict[str, Any]) -> None:
    network = build_network(SMALL_SEED.architecture)
    features = features_of(network, made["pixels"])
    first = fit_head(network, recipe=SMALL_SEED, features=features, labels=made["labels"])
    # Standardised on the way in and folded back on the way out: the same head either way.
    for standardise in (False, True):
        phase = dataclasses.replace(SMALL_SEED.frozen, epochs=1, learning_rate=1e-7, standardise=standardise)
        again = fit_head(
            network,
            recipe=dataclasses.replace(SMALL_SEED, frozen=phase),
            features=features,
            labels=made["labels"],
            continues=True,
        )
        assert -again.best_score == pytest.approx(-first.best_score, abs=1e-3)


def test_a_learning_rate_that_is_too_large_ends_as_diverged_or_collapsed(made: dict[str, Any]) -> None:
    network = build_network(SMALL_SEED.architecture)
    features = {name: table * 1e30 for name, table in features_of(network, made["pixels"]).items()}
    with pytest.raises(TrainingError) as failed:
        fit_head(network, recipe=SMALL_SEED, features=features, labels=made["labels"])
    assert failed.value.code == "diverged"


def test_nearly_everything_under_one_name_ends_as_collapsed(made: dict[str, Any]) -> None:
    network = build_network(SMALL_SEED.architecture)
    features = {name: np.zeros_like(table) for name, table in features_of(network, made["pixels"]).items()}
    with pytest.raises(TrainingError) as failed:
        fit_head(network, recipe=SMALL_SEED, features=features, labels=made["labels"])
    assert failed.value.code == "collapsed"


# Keras's own callback reads the rate through NumPy's older protocol.
@pytest.mark.parametrize(
    ("losses", "rate"),
    [
        ([], 1e-4),
        ([1.0, 0.9], 1e-4),
        ([1.0, 1.1, 1.2], 2e-5),
        ([1.0, 1.1, 0.9, 1.0], 1e-4),
        ([1.0, 1.1, 1.2, 1.3, 1.4], 4e-6),
        ([1.0] * 20, 1e-6),
    ],
)
@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_the_plateau_schedule_is_that_of_keras(losses: list[float], rate: float) -> None:
    import keras

    assert learning_rate_after(losses, SEED_FINE_TUNE.frozen) == pytest.approx(rate)
    # The real callback, driven by the same losses.
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-4), loss="mse")
    callback = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=2, min_lr=1e-6)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
    assert float(model.optimizer.learning_rate) == pytest.approx(rate, rel=1e-5)


def test_the_published_recipes_are_the_published_ones() -> None:
    head = Architecture("efficientnetb4", 224, head_units=(1024, 512, 256), head_dropouts=(0.0, 0.5, 0.3, 0.0))
    assert SEED_TRANSFER.architecture == SEED_FINE_TUNE.architecture == head
    first, second = SEED_TRANSFER.frozen, SEED_FINE_TUNE.frozen
    assert (first.optimizer, first.learning_rate, first.batch_size, first.epochs) == ("adam", 1e-3, 32, 10)
    assert (first.patience, first.best_by, first.standardise, first.plateau_factor) == (10, "loss", False, 0.0)
    assert (second.optimizer, second.learning_rate, second.epochs, second.patience) == ("adam", 1e-4, 3, 5)
    assert (second.beta_1, second.beta_2, second.epsilon) == (0.9, 0.999, 1e-7)
    assert (second.plateau_factor, second.plateau_patience, second.learning_rate_min) == (0.2, 2, 1e-6)
    assert SEED_FINE_TUNE.continues
    assert SEED_TRANSFER.fine_tune is None is SEED_FINE_TUNE.fine_tune  # nothing is unfrozen
    for phase in (first, second):
        assert phase.balance == FrozenPhase(1, 1, 0.1).balance  # plain sampling, plain loss


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_snapshot_gives_the_recipe_back(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe


def test_a_snapshot_from_before_the_new_fields_still_reads_and_names_its_checkpoints_as_before() -> None:
    old = json.loads(json.dumps(FINE_TUNE.identity()))
    assert "optimizer" not in old["frozen"]
    assert "continues" not in old
    assert old.pop("normalised")  # of EfficientNetB4 alone: its checkpoints from before are another network's
    assert "normalised" not in SMOKE.identity()
    assert Recipe.from_json(old | {"expected": FINE_TUNE.expected}) == FINE_TUNE
    assert "optimizer" in SEED_TRANSFER.identity()["frozen"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frozen.epochs": "-1"}, "epochs"),
        ({"frozen.epochs": "many"}, "cannot be"),
        ({"frozen.learning_rate": "nan"}, "learning_rate"),
        ({"frozen.optimizer": "sgd"}, "optimizer"),
        ({"frozen.optimizer": "adam", "frozen.weight_decay": "0.1"}, "weight_decay"),
        ({"frozen.balance.weight_power": "2"}, "weight_power"),
        ({"frozen.plateau_factor": "1"}, "plateau_factor"),
        ({"frozen.learning_rate_min": "0.5"}, "learning_rate_min"),
        ({"architecture.input_size": "4"}, "input_size"),
        ({"architecture.head_units": "8"}, "one head dropout more"),
        ({"seed": "-1"}, "seed"),
        ({"name": "MINE"}, "no field"),
        ({"frozen": "1"}, "group"),
        ({"frozen.nothing": "1"}, "no field"),
    ],
)
def test_bad_settings_are_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        changed(SEED_TRANSFER, changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "bfloat16"}, "precision is one of"),
        ({"devices": "2"}, "devices is one of"),
        ({"fine_tune.mixup_alpha": "-0.1"}, "mixup_alpha"),
        ({"fine_tune.mixup_alpha": "inf"}, "mixup_alpha"),
        ({"fine_tune.balance.focal_gamma": "nan"}, "focal_gamma"),
        ({"fine_tune.balance.source_sampling_power": "-0.1"}, "source_sampling_power"),
        ({"frozen.balance.source_sampling_power": "1.1"}, "source_sampling_power"),
        ({"fine_tune.augmentation.detail_min": "0"}, "detail_min"),
        ({"fine_tune.augmentation.detail_min": "1.1"}, "detail_min"),
        ({"fine_tune.augmentation.jpeg_quality_min": "-1"}, "jpeg_quality_min"),
        ({"fine_tune.augmentation.jpeg_quality_min": "96"}, "jpeg_quality_min"),
        ({"fine_tune.augmentation.randaugment_operations": "9"}, "randaugment_operations"),
        ({"fine_tune.augmentation.randaugment_magnitude": "11"}, "randaugment_magnitude"),
        ({"fine_tune.learn_validation": "perhaps"}, "cannot be"),
    ],
)
def test_bad_settings_of_fine_tuning_are_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        changed(FINE_TUNE, changes)


def test_an_older_snapshot_may_hold_the_fields_of_the_metadata_head_where_it_was_off() -> None:
    def older(metadata: bool, dropout: float) -> dict[str, Any]:
        values = FINE_TUNE.as_json()
        values["architecture"]["metadata"] = metadata
        values["fine_tune"] |= {"metadata_dropout": dropout, "metadata_field_dropout": 0.1}
        return values

    again = Recipe.from_json(older(False, 0.5))
    assert again == FINE_TUNE
    assert again.identity() == FINE_TUNE.identity()
    for on in (older(True, 0.5), older(False, 0.2)):
        with pytest.raises(RecipeError, match="no recipe of this version"):
            Recipe.from_json(on)


def test_an_older_snapshot_may_hold_the_share_of_teachers_where_there_were_none() -> None:
    def older(share: float) -> dict[str, Any]:
        values = FINE_TUNE.as_json()
        values["fine_tune"]["teacher_share"] = share
        return values

    assert Recipe.from_json(older(0.0)) == FINE_TUNE
    with pytest.raises(RecipeError, match="no recipe of this version"):
        Recipe.from_json(older(0.6))


def test_identities_are_those_that_checkpoints_were_written_with() -> None:
    found = {recipe.name: hashlib.sha256(json.dumps(recipe.identity(), sort_keys=True).encode()).hexdigest()[:12]
             for recipe in RECIPES.values()}  # fmt: skip
    assert found == IDENTITIES


def test_what_is_new_and_off_changes_no_identity_and_what_is_on_does() -> None:
    old = FINE_TUNE.identity()
    assert "learn_validation" not in old["fine_tune"]
    # Scale and fit of the picture are newer than checkpoints, and FINE_TUNE sets them.
    pictures = {"reference_long_side", "fit"}
    assert set(old) == {"name", "expected", "architecture", "frozen", "fine_tune", "seed", "normalised"} | pictures
    assert not pictures & set(SMOKE.identity())
    assert dataclasses.replace(FINE_TUNE, expected="another result").identity() == old
    for name, value in (
        ("precision", "float32"),
        ("fine_tune.learn_validation", "true"),
        ("fine_tune.mixup_alpha", "0"),
        ("frozen.balance.source_sampling_power", "0.5"),
        ("fine_tune.balance.source_sampling_power", "0.5"),
        ("fine_tune.augmentation.detail_min", "0.4"),
        ("fine_tune.augmentation.jpeg_quality_min", "40"),
    ):
        assert changed(FINE_TUNE, {name: value}).identity() != old


def test_fields_that_belong_together_change_together() -> None:
    recipe = changed(SMOKE, {"architecture.head_units": "8,4", "architecture.head_dropouts": "0, 0.1, 0.2"})
    assert recipe.architecture.head_units == (8, 4)
    assert recipe.architecture.head_dropouts == (0.0, 0.1, 0.2)
    assert recipe.fine_tune == SMOKE.fine_tune
