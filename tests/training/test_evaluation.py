"""The figures of an evaluation: against the official package, on hand-made tables, as files."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from diagnoses.inference.bundle import OperatingPoint
from diagnoses.models import Classifier
from diagnoses.taxonomy import CODES
from tests.training.made_runs import made_dataset
from training.evaluation.exports import figures_json, ground_truth_csv, predictions_csv, safe_cell
from training.evaluation.measure import (
    TOO_FEW,
    auc_above_sensitivity,
    hardest_mistakes,
    measure,
    reliability,
    roc_curve,
    subgroups,
)
from training.evaluation.room import kept_from_training, sealed_before_training
from training.management.commands.evaluate import Command as EvaluateCommand
from training.management.commands.evaluate import table as printed_table
from training.models import Dataset, Evaluation
from training.services.evaluations import evaluation_on, record_evaluation

POINTS = (OperatingPoint("balanced", 0.4, 0.8, 0.8), OperatingPoint("sensitive", 0.1, 0.95, 0.4))


def made_answers(labels: np.ndarray[Any, Any], *, seed: int = 3, skill: float = 1.5) -> np.ndarray[Any, Any]:
    """Probabilities (N, 8) of a classifier that is right more often than not."""
    logits = np.random.default_rng(seed).normal(size=(labels.size, len(CODES)))
    logits[np.arange(labels.size), labels] += skill
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def classifier_named(version: str, **manifest: Any) -> Classifier:
    dataset = {"name": "made", "fingerprint": "f", "pictures": 1}
    described = {"diagnoses": list(CODES), "dataset": dataset, "split": {}, **manifest}
    return Classifier.objects.create(version=version, sha256=version.ljust(64, "0"), manifest=described)


def evaluate_made(classifier: Classifier, dataset: Dataset, *, seed: int = 3, skill: float = 1.5) -> Evaluation:
    """An evaluation of made answers on the real rows of a made data set."""
    rows = list(dataset.examples.filter(split="test").order_by("image").values_list("image", "diagnosis"))
    labels = np.array([CODES.index(code) for _, code in rows])
    answers = made_answers(labels, seed=seed, skill=skill)
    metrics = measure(labels, answers, temperature=1.3, operating_points=POINTS) | {"sealed_before_training": True}
    return record_evaluation(
        classifier=classifier,
        dataset=dataset,
        metrics=metrics,
        predictions={image: [float(p) for p in row] for (image, _), row in zip(rows, answers, strict=True)},
    )


# The official package is older than the pandas it runs on.
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.django_db
def test_balanced_accuracy_is_what_the_official_package_computes_from_our_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    official = pytest.importorskip(
        "isic_challenge_scoring.metrics", reason="isic-challenge-scoring is not installed (make scoring)"
    )
    load_csv = pytest.importorskip("isic_challenge_scoring.load_csv")
    # pandas 3 has given this method another name since the package was written.
    monkeypatch.setattr(pd.DataFrame, "applymap", pd.DataFrame.map, raising=False)
    evaluation = evaluate_made(classifier_named("one"), made_dataset(per_diagnosis=30))
    truth, weights = load_csv.parse_truth_csv(io.StringIO(ground_truth_csv(evaluation)))
    answers = load_csv.parse_csv(io.StringIO(predictions_csv(evaluation)), truth.columns)
    load_csv.validate_rows(truth, answers)
    load_csv.sort_rows(truth)
    load_csv.sort_rows(answers)

    theirs = official.balanced_multiclass_accuracy(truth, answers, weights.score_weight)
    ours = evaluation.metrics["balanced_accuracy"]["value"]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert 0.3 < ours < 1.0  # a figure that could have come out otherwise
    for code in CODES:
        row = evaluation.metrics["per_diagnosis"][code]
        theirs = official.auc_above_sensitivity(truth[code].gt(0.5), answers[code], weights.score_weight, 0.80)
        assert row["auc_above_80_sensitivity"] == pytest.approx(theirs, abs=1e-6)
        theirs = official.auc(truth[code].gt(0.5), answers[code], weights.score_weight)
        assert row["auc"]["value"] == pytest.approx(theirs, abs=1e-6)


def test_figures_of_a_table_counted_by_hand() -> None:
    # Three melanomas, one missed; five nevi, one called melanoma; nothing else.
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    called = np.array([0, 0, 1, 1, 1, 1, 1, 0])
    answers = np.full((8, 8), 0.01)
    answers[np.arange(8), called] = 0.93
    figures = measure(labels, answers, temperature=1.0, operating_points=(OperatingPoint("half", 0.5, 1, 1),))
    assert figures["balanced_accuracy"]["value"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert figures["accuracy"]["value"] == pytest.approx(6 / 8)
    assert figures["majority_baseline"] == pytest.approx(5 / 8)
    assert figures["majority_diagnosis"] == "NV"
    melanoma = figures["per_diagnosis"]["MEL"]
    assert melanoma["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert melanoma["specificity"]["value"] == pytest.approx(4 / 5)
    assert melanoma["precision"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert melanoma["sensitivity"]["low"] <= 2 / 3 <= melanoma["sensitivity"]["high"]
    assert figures["per_diagnosis"]["DF"]["sensitivity"]["value"] is None
    assert figures["operating_points"]["half"]["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["confusion"][0][:2] == [2, 1]
    assert figures["roc"]["DF"] is None
    json.dumps(figures, allow_nan=False)


def test_the_partial_area_is_the_whole_one_without_a_floor_and_less_with_one() -> None:
    positive = np.array([True, True, False, True, False, False])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    curve = roc_curve(positive, scores)
    assert curve is not None
    assert curve[0].tolist() == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve[1].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1, 1, 1])
    # From a sensitivity of 0.8 on, at a false-positive rate of 1/3, to 1: two thirds of height one.
    assert auc_above_sensitivity(positive, scores) == pytest.approx(2 / 3)
    assert np.isnan(auc_above_sensitivity(np.array([True, True]), np.array([0.1, 0.2])))


def test_calibration_undone_gives_the_figures_before_it() -> None:
    labels = np.arange(400) % 8
    logits = np.random.default_rng(1).normal(size=(400, 8)) * 3
    logits[np.arange(400), labels] += 2

    def softmax(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    before = measure(labels, softmax(logits), temperature=1.0, operating_points=())
    after = measure(labels, softmax(logits / 2.5), temperature=2.5, operating_points=())
    error = "expected_calibration_error"
    assert after[error]["before"] == pytest.approx(before[error]["after"], abs=1e-6)
    assert after[error]["after"] < after[error]["before"]


def test_subgroups_that_are_too_small_say_nothing() -> None:
    count = 200
    labels = np.arange(count) % 8
    answers = made_answers(labels)
    few = TOO_FEW - 1
    table = pd.DataFrame(
        {
            "sex": ["female"] * few + ["male"] * (count - few),
            "anatom_site_general": [None] * count,
            "age_approx": [50.0] * (count - 1) + [float("nan")],
        }
    )
    groups = {(row["kind"], row["name"]): row for row in subgroups(table, labels, answers, operating_points=POINTS[:1])}
    small = groups["sex", "female"]
    assert small["pictures"] == few
    assert small["operating_points"]["balanced"] == {"sensitivity": None, "specificity": None}
    large = groups["sex", "male"]["operating_points"]["balanced"]
    assert large["sensitivity"]["low"] < large["sensitivity"]["value"] < large["sensitivity"]["high"]
    assert groups["site", "not given"]["pictures"] == count
    assert groups["age", "45 to 59"]["pictures"] == count - 1
    assert groups["age", "not given"]["pictures"] == 1
    for kind in ("sex", "age", "site"):
        assert sum(row["pictures"] for key, row in groups.items() if key[0] == kind) == count


def test_the_hardest_mistakes_come_first_and_right_answers_never() -> None:
    labels = np.array([0, 1, 2, 0])
    answers = np.full((4, 8), 0.0)
    answers[0, [0, 1]] = 0.4, 0.6
    answers[1, 1] = 1.0
    answers[2, [2, 3]] = 0.1, 0.9
    answers[3, [0, 1]] = 0.3, 0.7
    found = hardest_mistakes(["a", "b", "c", "d"], labels, answers)
    assert [each["image"] for each in found] == ["c", "d", "a"]
    assert found[0] == {
        "image": "c", "truth": "BCC", "called": "AK", "confidence": 0.9, "truth_probability": 0.1,
    }  # fmt: skip


def test_reliability_bins_hold_every_picture_once() -> None:
    labels = np.arange(80) % 8
    bins = reliability(labels, made_answers(labels))
    assert sum(each["pictures"] for each in bins) == 80
    assert all(each["from"] <= each["confidence"] <= each["from"] + 0.1 for each in bins)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\0"])
def test_a_name_that_begins_like_a_formula_is_text(sign: str) -> None:
    assert safe_cell(f"{sign}1+1") == f"'{sign}1+1"
    assert safe_cell("ISIC_0000001") == "ISIC_0000001"


@pytest.mark.django_db
def test_an_evaluation_is_kept_once_and_never_changed() -> None:
    dataset, classifier = made_dataset(), classifier_named("one")
    first = evaluate_made(classifier, dataset)
    again = evaluate_made(classifier, dataset, seed=9)
    assert again.pk == first.pk
    assert again.metrics == first.metrics
    assert evaluation_on(classifier, dataset) == first
    assert json.loads(figures_json(first))["fingerprint"] == dataset.test_fingerprint


@pytest.mark.django_db
def test_the_printed_table_says_what_was_measured() -> None:
    evaluation = evaluate_made(classifier_named("one"), made_dataset())
    text = printed_table(evaluation)
    assert f"{evaluation.metrics['balanced_accuracy']['value']:.3f}" in text
    assert all(code in text for code in CODES)
    assert "sensitive" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.django_db
def test_a_classifier_of_another_split_is_not_called_independent() -> None:
    dataset = made_dataset()
    assert sealed_before_training({"test_fingerprint": dataset.test_fingerprint}, dataset)
    assert sealed_before_training({"fingerprint": dataset.split_fingerprint}, dataset)
    assert not sealed_before_training({"fingerprint": "0" * 64}, dataset)


@pytest.mark.django_db
def test_what_a_parent_may_have_seen_its_child_has_seen() -> None:
    dataset = made_dataset()
    ours = {"test_fingerprint": dataset.test_fingerprint}

    def continued(parent: Classifier) -> dict[str, Any]:
        return {"parent": {"version": parent.version, "sha256": parent.sha256}}

    good, other = classifier_named("good", split=ours), classifier_named("other", split={"fingerprint": "0" * 64})
    child = classifier_named("child", split=ours, provenance=continued(other))
    assert kept_from_training(ours, {"parent": None}, dataset)
    assert kept_from_training(ours, continued(good), dataset)
    assert not kept_from_training(ours, continued(other), dataset)
    assert not kept_from_training(ours, continued(child), dataset)  # its grandparent's split was another
    assert not kept_from_training(ours, {"parent": {"version": "elsewhere", "sha256": "e" * 64}}, dataset)


@pytest.mark.django_db
def test_without_a_name_it_is_the_split_that_the_classifier_was_trained_on() -> None:
    first = made_dataset()
    again = made_dataset("again", seed=1)
    # The same files dealt by another seed, imported later.
    Dataset.objects.filter(pk=again.pk).update(fingerprint=first.fingerprint, split_fingerprint="5" * 64)
    trained = classifier_named(
        "trained", dataset={"fingerprint": first.fingerprint}, split={"fingerprint": first.split_fingerprint}
    )
    assert EvaluateCommand()._dataset(trained, None) == first
