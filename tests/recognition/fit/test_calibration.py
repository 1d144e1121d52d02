"""Calibration: thresholds, score edges, prediction sets, on simulated predictions."""

import numpy as np
import pytest

from recognition.evaluation import metrics
from recognition.fit.calibration import advised, choose_decision, choose_edges, set_thresholds
from recognition.fit.calibration.points import SOON_SENSITIVITY, URGENT_SPECIFICITY
from recognition.inference.decision import decide
from recognition.inference.prediction_set import prediction_set
from recognition.taxonomy import CODES, Diagnosis

SHARES = np.array([0.12, 0.67, 0.05, 0.02, 0.1, 0.01, 0.01, 0.02])


def simulated(count: int, *, seed: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (N, 8) of a classifier that is often, but not always, right."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(8, count, p=SHARES)
    logits = np.log(SHARES) + generator.normal(0, 1.0, (count, 8)) + sharpness * np.eye(8)[labels]
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=1, keepdims=True)


def test_the_advice_reaches_its_targets_where_it_was_chosen_and_nearly_elsewhere() -> None:
    labels, probabilities = simulated(600, seed=1)
    decision = choose_decision(labels, probabilities)
    assert decision is not None
    soon, urgent = decision["soon"], decision["urgent"]
    assert soon["threshold"] <= urgent["threshold"]
    assert soon["sensitivity"] >= SOON_SENSITIVITY
    assert soon["melanoma_sensitivity"] >= SOON_SENSITIVITY
    assert urgent["specificity"] >= URGENT_SPECIFICITY
    others, answers = simulated(4000, seed=2)
    melanomas = others == Diagnosis.MEL.position
    assert advised(answers, "soon", soon["threshold"])[melanomas].mean() >= 0.80
    benign = ~metrics.is_malignant(others)
    assert 1 - advised(answers, "urgent", urgent["threshold"])[benign].mean() >= URGENT_SPECIFICITY - 0.05


def test_the_highest_threshold_that_is_sensitive_enough_is_taken() -> None:
    labels, probabilities = simulated(600, seed=3)
    decision = choose_decision(labels, probabilities)
    assert decision is not None
    scores = metrics.malignant_score(probabilities)
    higher = np.min(scores[scores > decision["soon"]["threshold"]])
    cancers, melanomas = metrics.is_malignant(labels), labels == Diagnosis.MEL.position
    assert min((scores[chosen] >= higher).mean() for chosen in (cancers, melanomas)) < SOON_SENSITIVITY


def test_what_is_measured_is_what_the_page_advises() -> None:
    _, probabilities = simulated(300, seed=4)
    flagged = advised(probabilities, "soon", 0.3)
    for row, expected in zip(probabilities, flagged, strict=True):
        score = float(metrics.malignant_score(row[None])[0])
        advice = decide(score, Diagnosis(CODES[int(row.argmax())]), soon=0.3, urgent=0.7)
        assert (advice.value in ("soon", "urgent")) == expected
    assert np.array_equal(advised(probabilities, "urgent", 0.7), metrics.malignant_score(probabilities) >= 0.7)


def test_there_is_no_advice_without_melanomas_or_without_benign_lesions() -> None:
    labels, probabilities = simulated(300, seed=5)
    for chosen in (labels != Diagnosis.MEL.position, metrics.is_malignant(labels)):
        assert choose_decision(labels[chosen], probabilities[chosen]) is None


def test_the_steps_of_the_score_hold_both_thresholds_and_like_numbers_of_pictures() -> None:
    _, probabilities = simulated(600, seed=6)
    scores = metrics.malignant_score(probabilities)
    edges = choose_edges(scores, soon=0.3, urgent=0.7)
    assert edges is not None
    assert len(edges) == 9
    assert edges == sorted(set(edges))
    assert (edges[3], edges[6]) == (0.3, 0.7)
    counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=10)
    assert counts[:4].max() - counts[:4].min() <= 2


@pytest.mark.parametrize("scores", [np.full(50, 0.1), np.array([0.1, 0.5, 0.9]), np.array([])])
def test_too_few_or_too_like_scores_have_no_steps(scores: np.ndarray) -> None:
    assert choose_edges(scores, soon=0.3, urgent=0.7) is None


def test_prediction_sets_hold_the_truth_as_often_as_they_promise() -> None:
    # Of a classifier that is often wrong: the set of one that is nearly always right covers more with its first alone.
    covered, melanoma_covered = [], []
    for seed in range(40):
        thresholds = set_thresholds(*simulated(500, seed=seed, sharpness=0.5))
        labels, probabilities = simulated(300, seed=1000 + seed, sharpness=0.5)
        within = np.array(
            [CODES[label] in prediction_set(row, thresholds) for label, row in zip(labels, probabilities, strict=True)]
        )
        covered.append(within.mean())
        melanoma_covered.append(within[labels == 0].mean())
    # Of 12,000 pictures 90 % or a little more, and of the melanomas as well; the standard error is 0.003 and 0.008.
    assert 0.89 <= np.mean(covered) <= 0.93
    assert 0.87 <= np.mean(melanoma_covered) <= 0.94


def test_a_diagnosis_too_rare_to_promise_anything_is_always_in_the_set() -> None:
    labels = np.array([1] * 30 + [0] * 5)
    probabilities = np.full((35, 8), 0.125)
    thresholds = set_thresholds(labels, probabilities)
    assert thresholds["NV"] == pytest.approx(0.125)
    assert {thresholds[code] for code in CODES if code != "NV"} == {0.0}
    assert set(prediction_set(np.array([0, 1.0, 0, 0, 0, 0, 0, 0]), thresholds)) == set(CODES)
