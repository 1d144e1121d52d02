"""The metrics, compared with small tables that were computed by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics as scikit

from recognition.evaluation import bootstrap, metrics
from recognition.evaluation.measure import sealed_metrics
from recognition.evaluation.metrics import balanced_accuracy, expected_calibration_error, mean_sensitivity
from recognition.fit.calibration import choose_operating_points, fit_temperature
from recognition.inference.bundle import OperatingPoint
from recognition.inference.runtime import softmax
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
    # Four answers at 0.65, two of them right: |0.5 - 0.65|.
    labels, table = truth("MEL", "MEL", "NV", "NV"), answers("MEL", "NV", "NV", "MEL")
    error = expected_calibration_error(labels, table)
    assert bootstrap.on_all(error, labels) == pytest.approx(0.15)


def test_log_loss_of_a_known_table() -> None:
    assert metrics.log_loss(truth("MEL", "BCC"), answers("MEL", "BCC")) == pytest.approx(-math.log(0.65))
    assert math.isfinite(metrics.log_loss(truth("MEL"), np.eye(8)[[1]]))


def test_the_mean_log_loss_counts_every_diagnosis_once_however_frequent() -> None:
    labels = truth("MEL", "NV", "NV", "NV")
    probabilities = np.stack([np.full(8, 0.125), *[np.eye(8)[1]] * 3])
    assert metrics.log_loss(labels, probabilities) == pytest.approx(math.log(8) / 4)
    assert metrics.mean_log_loss(labels, probabilities) == pytest.approx(math.log(8) / 2)


def test_the_interval_holds_the_figure_and_shrinks_with_more_pictures() -> None:
    generator = np.random.default_rng(5)

    def width(copies: int) -> float:
        labels = np.tile(np.arange(8), copies)
        table = np.where(generator.random((labels.size, 1)) < 0.6, np.eye(8)[labels], np.eye(8)[(labels + 1) % 8])
        found = bootstrap.estimates({"": mean_sensitivity(labels, table)}, labels, rounds=200)[""]
        assert found.low <= balanced_accuracy(labels, table) <= found.high
        return found.high - found.low

    assert width(100) < width(10) / 2


def test_an_interval_without_a_figure_is_nan() -> None:
    labels = truth("NV", "NV")
    area = metrics.auc(metrics.is_malignant(labels), metrics.malignant_score(answers("NV", "NV")))
    found = bootstrap.estimates({"": area}, labels, rounds=5)[""]
    assert math.isnan(found.low)
    assert math.isnan(found.high)


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
    (counts,) = bootstrap.redrawn(labels, rounds=20, seed=1)
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


def test_sealed_intervals_are_those_of_redrawing_pictures_one_by_one() -> None:
    # A manifest is reproduced when its classifier is sealed again: neither the draws nor their order may change.
    labels = np.repeat(np.arange(8), [30, 90, 12, 6, 15, 5, 5, 7])
    logits = made_answers(labels, seed=7)
    sealed = sealed_metrics(
        labels, logits, temperature=1.3, operating_points=(OperatingPoint("balanced", 0.4, 0.8, 0.8),)
    )
    table, generator = softmax(logits / 1.3), np.random.default_rng(7)
    drawn = [
        np.concatenate([generator.choice(np.flatnonzero(labels == d), size=(labels == d).sum()) for d in range(8)])
        for _ in range(1000)
    ]
    for name, metric in (("balanced_accuracy", balanced_accuracy), ("malignant_auc", metrics.malignant_auc)):
        low, high = np.percentile([metric(labels[rows], table[rows]) for rows in drawn], [2.5, 97.5])
        assert sealed[name] == pytest.approx({"value": metric(labels, table), "low": low, "high": high}, abs=1e-12)
    assert set(sealed["per_diagnosis"]["DF"]) == {"pictures", "sensitivity", "specificity", "precision", "auc"}
    assert isinstance(sealed["per_diagnosis"]["DF"]["auc"], float)
    assert set(sealed["log_loss"]) == {"before", "after"} and isinstance(sealed["log_loss"]["after"], float)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    generator = np.random.default_rng(8)
    logits = generator.normal(0.0, 2.0, (20_000, 8))
    noise = generator.gumbel(size=logits.shape)
    labels = (logits / temperature + noise).argmax(axis=1)  # draws from softmax(logits / temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_operating_points_do_what_their_names_say() -> None:
    generator = np.random.default_rng(9)
    labels = generator.integers(0, 8, 2000)
    table = np.exp(generator.normal(0, 1, (2000, 8)) + 1.5 * np.eye(8)[labels])
    table /= table.sum(axis=1, keepdims=True)
    points = {point.name: point for point in choose_operating_points(labels, table)}
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
    assert choose_operating_points(truth("NV", "DF"), answers("NV", "MEL")) == ()
