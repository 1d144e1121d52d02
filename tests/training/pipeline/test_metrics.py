"""The figures, against small tables worked out by hand."""

import math

import numpy as np
import pytest

from diagnoses.taxonomy import CODES
from training.pipeline import metrics
from training.pipeline.calibration import choose_operating_points, fit_temperature
from training.pipeline.metrics import auc, balanced_accuracy


def answers(*codes: str, confidence: float = 0.65) -> np.ndarray:
    """One row for each code, which gets `confidence`; the others share the rest."""
    rows = np.full((len(codes), 8), (1 - confidence) / 7)
    for row, code in enumerate(codes):
        rows[row, CODES.index(code)] = confidence
    return rows


def truth(*codes: str) -> np.ndarray:
    return np.array([CODES.index(code) for code in codes])


def test_balanced_accuracy_is_the_mean_over_the_diagnoses_that_occur() -> None:
    labels, table = truth("MEL", "NV", "NV", "NV", "NV"), answers("NV", "NV", "NV", "NV", "MEL")
    assert metrics.accuracy(labels, table) == pytest.approx(3 / 5)
    assert balanced_accuracy(labels, table) == pytest.approx((0 / 1 + 3 / 4) / 2)
    found = metrics.sensitivities(labels, table)
    assert found[:2].tolist() == [0.0, 0.75]
    assert np.isnan(found[2:]).all()


def test_always_the_majority_has_the_accuracy_of_the_majority_and_a_balanced_accuracy_of_chance() -> None:
    labels, table = np.array([*range(8), *[1] * 56]), answers(*["NV"] * 64)
    assert metrics.accuracy(labels, table) == pytest.approx(57 / 64)
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
    assert metrics.expected_calibration_error(labels, table) == pytest.approx(0.15)


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
        low, high = metrics.interval(balanced_accuracy, labels, table, rounds=200)
        assert low <= balanced_accuracy(labels, table) <= high
        return high - low

    assert width(100) < width(10) / 2


def test_an_interval_without_a_figure_is_nan() -> None:
    low, high = metrics.interval(metrics.malignant_auc, truth("NV", "NV"), answers("NV", "NV"), rounds=5)
    assert math.isnan(low)
    assert math.isnan(high)


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


def test_there_are_no_operating_points_without_both_kinds() -> None:
    assert choose_operating_points(truth("NV", "DF"), answers("NV", "MEL")) == ()
