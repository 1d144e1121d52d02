"""The metrics, compared with small tables that were computed by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics as scikit

from recognition.evaluation import bootstrap, metrics
from recognition.evaluation.metrics import (
    balanced_accuracy,
    classwise_calibration_error,
    malignant_calibration_error,
    mean_sensitivity,
)
from recognition.fit.calibration import choose_operating_points
from recognition.inference.calibration import softmax
from recognition.taxonomy import CODES


def answers(*codes: str, confidence: float = 0.65) -> np.ndarray:
    """One row for each code, which gets `confidence`; the others share the rest."""
    rows = np.full((len(codes), 8), (1 - confidence) / 7)
    for row, code in enumerate(codes):
        rows[row, CODES.index(code)] = confidence
    return rows


def truth(*codes: str) -> np.ndarray:
    return np.array([CODES.index(code) for code in codes])


def accuracy(labels: np.ndarray, table: np.ndarray) -> float:
    right = metrics.proportion(table.argmax(axis=1) == labels, np.ones(labels.size, bool))
    return bootstrap.on_all(right, labels)


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    return bootstrap.on_all(metrics.auc(positive, scores), positive)


def test_balanced_accuracy_is_the_mean_over_the_diagnoses_that_occur() -> None:
    labels, table = truth("MEL", "NV", "NV", "NV", "NV"), answers("NV", "NV", "NV", "NV", "MEL")
    assert accuracy(labels, table) == pytest.approx(3 / 5)
    assert balanced_accuracy(labels, table) == pytest.approx((0 / 1 + 3 / 4) / 2)
    found = metrics.sensitivities(labels, table)
    assert found[:2].tolist() == [0.0, 0.75]
    assert np.isnan(found[2:]).all()


def test_always_the_majority_has_the_accuracy_of_the_majority_and_a_balanced_accuracy_of_chance() -> None:
    labels, table = np.array([*range(8), *[1] * 56]), answers(*["NV"] * 64)
    assert accuracy(labels, table) == pytest.approx(57 / 64)
    assert balanced_accuracy(labels, table) == pytest.approx(1 / 8)


def test_confusion_has_the_truth_in_rows() -> None:
    counts = metrics.confusion(truth("DF", "DF", "SCC"), answers("NV", "DF", "DF"))
    assert counts[CODES.index("DF"), CODES.index("NV")] == 1
    assert counts[CODES.index("SCC"), CODES.index("DF")] == 1
    assert counts.sum() == 3


@pytest.mark.parametrize(
    ("positive", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ([0, 1], [0.5, 0.5], 0.5),
        ([1, 0, 1, 0], [0.9, 0.1, 0.5, 0.5], 0.875),
        ([1, 1], [0.1, 0.2], math.nan),
    ],
)
def test_auc_counts_pairs(positive: list[int], scores: list[float], expected: float) -> None:
    assert auc(np.array(positive, bool), np.array(scores)) == pytest.approx(expected, nan_ok=True)


def test_auc_equals_counting_every_pair() -> None:
    generator = np.random.default_rng(2)
    positive, scores = generator.random(300) < 0.2, generator.integers(0, 20, 300) / 20
    pairs = scores[positive][:, None] - scores[~positive][None]
    assert auc(positive, scores) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_the_malignant_score_is_mel_bcc_and_scc() -> None:
    table = np.arange(8.0)[None] / 28
    assert metrics.malignant_score(table)[0] == pytest.approx((0 + 2 + 7) / 28)
    assert metrics.is_malignant(np.arange(8)).tolist() == [True, False, True, False, False, False, False, True]


def test_calibration_error_of_a_known_table() -> None:
    # Four malignant scores of 0.65 + 2 * 0.05 = 0.75, three cancers: no error. Four of 0.15, two cancers: 0.35 away.
    labels = truth("MEL", "MEL", "BCC", "NV", "MEL", "NV", "SCC", "NV")
    table = answers("MEL", "MEL", "MEL", "MEL", "NV", "NV", "NV", "NV")
    error = malignant_calibration_error(labels, table)
    assert bootstrap.on_all(error, labels) == pytest.approx((0.0 + 0.35) / 2)
    # Weighted so that the wrong half counts three times as much.
    weights = np.repeat([0.5, 1.5], 4)
    assert bootstrap.on_all(metrics.weighted(error, weights), labels) == pytest.approx(0.75 * 0.35)
    # MEL and NV: 2 of 4 at 0.65, 1 of 4 at 0.05. BCC and SCC: 1 of 8 at 0.05. The others: 0 of 8 at 0.05.
    expected = (2 * (0.15 + 0.2) / 2 + 2 * 0.075 + 4 * 0.05) / 8
    assert bootstrap.on_all(classwise_calibration_error(labels, table), labels) == pytest.approx(expected)


def test_the_bins_of_the_calibration_error_are_ten_of_equal_width() -> None:
    # Scores 0.05, 0.15, ... 0.95 and 1: each bin by itself is 0.05 wrong or more, and none helps another.
    scores = np.r_[np.arange(10) / 10 + 0.05, 1.0]
    cancer = np.r_[np.arange(10) >= 5, True]
    error = metrics.calibration_error(cancer, scores)
    last = abs(1.0 - (0.95 + 1.0) / 2) * 2
    expected = (sum(abs(c - s) for c, s in zip(cancer[:9], scores[:9], strict=True)) + last) / 11
    assert bootstrap.on_all(error, cancer) == pytest.approx(expected)


def test_weights_bring_the_calibration_error_to_a_case_mix() -> None:
    # The error of weighted pictures is that of each picture repeated as often as it weighs.
    labels = np.random.default_rng(3).integers(0, 8, 400)
    table, often = softmax(made_answers(labels, seed=3)), np.array([1, 5, 2, 1, 3, 1, 2, 4])[labels]
    repeated = np.repeat(np.arange(400), often)
    for make in (malignant_calibration_error, classwise_calibration_error):
        there = metrics.weighted(make(labels, table), often / often.mean())
        here = make(labels[repeated], table[repeated])
        assert bootstrap.on_all(there, labels) == pytest.approx(bootstrap.on_all(here, labels[repeated]))
    right = metrics.proportion(table.argmax(axis=1) == labels, np.ones(400, bool))
    expected = scikit.accuracy_score(labels, table.argmax(axis=1), sample_weight=often)
    assert bootstrap.on_all(metrics.weighted(right, often), labels) == pytest.approx(expected)


def test_the_calibration_error_by_chance_is_that_of_drawn_truths() -> None:
    generator = np.random.default_rng(4)
    lesion = np.repeat(np.arange(300), 2)
    given = np.clip(np.repeat(generator.beta(0.5, 1.5, 300), 2) + generator.normal(0, 0.02, 600), 0.001, 0.999)
    weights = generator.choice([0.3, 3.0], 600)
    expected = metrics.calibration_error_by_chance(given, lesion, weights)
    of_lesion = np.bincount(lesion, given) / 2
    drawn = [
        bootstrap.on_all(metrics.weighted(metrics.calibration_error(truths[lesion], given), weights), lesion)
        for truths in generator.random((400, 300)) < of_lesion
    ]
    assert np.mean(drawn) == pytest.approx(expected, rel=0.1)
    # As if all were lesions by themselves it would be less.
    assert metrics.calibration_error_by_chance(given, np.arange(600), weights) < 0.9 * expected


def test_log_loss_of_a_known_table() -> None:
    assert metrics.log_loss(truth("MEL", "BCC"), answers("MEL", "BCC")) == pytest.approx(-math.log(0.65))
    assert math.isfinite(metrics.log_loss(truth("MEL"), np.eye(8)[[1]]))


def test_the_mean_log_loss_counts_every_diagnosis_once_however_frequent() -> None:
    labels = truth("MEL", "NV", "NV", "NV")
    probabilities = np.stack([np.full(8, 0.125), *[np.eye(8)[1]] * 3])
    assert metrics.log_loss(labels, probabilities) == pytest.approx(math.log(8) / 4)
    assert metrics.mean_log_loss(labels, probabilities) == pytest.approx(math.log(8) / 2)


def made_answers(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Logits (N, 8) of a classifier that is right more often than not."""
    logits = np.random.default_rng(seed).normal(size=(labels.size, 8))
    logits[np.arange(labels.size), labels] += 1.5
    return logits


def test_metrics_of_rounds_are_those_of_scikit_learn() -> None:
    # Diagnoses of very different size, scores with ties.
    labels = np.random.default_rng(5).choice(8, size=300, p=[0.2, 0.5, 0.1, 0.04, 0.08, 0.03, 0.03, 0.02])
    table = softmax(made_answers(labels, seed=6)).round(2) + 1e-3
    table /= table.sum(axis=1, keepdims=True)
    called, positive, scores = table.argmax(axis=1), metrics.is_malignant(labels), metrics.malignant_score(table)
    flagged = scores >= 0.4
    ours = {
        "accuracy": metrics.proportion(called == labels, np.ones(labels.size, bool)),
        "balanced accuracy": mean_sensitivity(labels, table),
        "malignant auc": metrics.auc(positive, scores),
        "sensitivity of DF": metrics.proportion(called == 5, labels == 5),
        "precision of NV": metrics.proportion(labels == 1, called == 1),
        "auc of SCC": metrics.auc(labels == 7, table[:, 7]),
        "log loss": metrics.mean(metrics.surprise(labels, table)),
        **metrics.at_threshold(labels, table, 0.4),
    }
    (counts,) = bootstrap.redrawn(labels, None, rounds=20, seed=1)
    found = {name: metric(counts) for name, metric in ours.items()}
    for row, weight in enumerate(counts):
        theirs = {
            "accuracy": scikit.accuracy_score(labels, called, sample_weight=weight),
            "balanced accuracy": scikit.balanced_accuracy_score(labels, called, sample_weight=weight),
            "malignant auc": scikit.roc_auc_score(positive, scores, sample_weight=weight),
            "sensitivity of DF": scikit.recall_score(labels == 5, called == 5, sample_weight=weight),
            "precision of NV": scikit.precision_score(labels == 1, called == 1, sample_weight=weight),
            "auc of SCC": scikit.roc_auc_score(labels == 7, table[:, 7], sample_weight=weight),
            "log loss": scikit.log_loss(labels, table, sample_weight=weight),
            "sensitivity": scikit.recall_score(positive, flagged, sample_weight=weight),
            "specificity": scikit.recall_score(~positive, ~flagged, sample_weight=weight),
        }
        assert {name: values[row] for name, values in found.items()} == pytest.approx(theirs, abs=1e-12)


def test_operating_points_do_what_their_names_say() -> None:
    generator = np.random.default_rng(9)
    labels = generator.integers(0, 8, 2000)
    table = np.exp(generator.normal(0, 1, (2000, 8)) + 1.5 * np.eye(8)[labels])
    table /= table.sum(axis=1, keepdims=True)
    points = {point.name: point for point in choose_operating_points(labels, table, np.ones(labels.size))}
    positive, scores = metrics.is_malignant(labels), metrics.malignant_score(table)
    for point in points.values():
        assert metrics.sensitivity_specificity(positive, scores, point.threshold) == (
            point.sensitivity,
            point.specificity,
        )
    assert points["sensitive"].sensitivity >= 0.95
    # No higher threshold would do.
    higher = scores[scores > points["sensitive"].threshold].min()
    assert metrics.sensitivity_specificity(positive, scores, float(higher))[0] < 0.95
    best = points["balanced"]
    for threshold in generator.choice(scores, 50):
        assert sum(metrics.sensitivity_specificity(positive, scores, float(threshold))) <= (
            best.sensitivity + best.specificity + 1e-12
        )


def test_a_score_at_the_threshold_is_flagged() -> None:
    positive, scores = np.array([True, False]), np.array([0.5, 0.5])
    assert metrics.sensitivity_specificity(positive, scores, 0.5) == (1.0, 0.0)


def test_there_are_no_operating_points_without_both_kinds() -> None:
    assert choose_operating_points(truth("NV", "DF"), answers("NV", "MEL"), np.ones(2)) == ()
