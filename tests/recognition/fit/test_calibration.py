"""Calibration: factors of the scores, thresholds, score edges, prediction sets, on simulated predictions."""

import numpy as np
import pytest

from recognition.evaluation import metrics
from recognition.fit.calibration import (
    advised,
    choose_decision,
    choose_edges,
    choose_operating_points,
    fit_calibration,
    set_threshold,
)
from recognition.fit.calibration.image_type import fit_image_type_head, measure_image_type_head
from recognition.fit.calibration.points import MELANOMAS_MIN, SOON_SENSITIVITY, URGENT_SPECIFICITY
from recognition.fit.calibration.scaling import STRENGTH_MAX
from recognition.fit.calibration.sets import COVERAGE, FOLDS, folds, reached_by
from recognition.inference.calibration import Calibration, softmax
from recognition.inference.case_mix import HAM10000
from recognition.inference.decision import decide
from recognition.inference.prediction_set import prediction_set
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, Diagnosis

SHARES = np.array([0.12, 0.67, 0.05, 0.02, 0.1, 0.01, 0.01, 0.02])
BIOPSIES = np.array([0.08, 0.13, 0.5, 0.03, 0.1, 0.01, 0.01, 0.14])
"""A mix like that of MILK10k: mostly cancers."""


def simulated_logits(
    count: int, *, seed: int, shares: np.ndarray = SHARES, sharpness: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and logits (N, 8) of a network whose softmax is right in a balanced world, as after training."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(8, count, p=shares)
    # Bayes' rule for normal noise of variance 1: the log likelihood ratio is sharpness times what was seen.
    return labels, sharpness * (generator.normal(0, 1.0, (count, 8)) + sharpness * np.eye(8)[labels])


def simulated(count: int, *, seed: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (N, 8) of a classifier that is often, but not always, right."""
    labels, logits = simulated_logits(count, seed=seed, sharpness=sharpness / 2)
    return labels, softmax(logits + np.log(SHARES))


def even(labels: np.ndarray) -> np.ndarray:
    return np.ones(labels.size)


def test_temperature_and_prior_strength_are_found_again() -> None:
    labels, logits = simulated_logits(6000, seed=1)
    found = fit_calibration(3.0 * logits, labels)
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert found.prior_strength == pytest.approx(1.0, abs=0.1)
    assert (found.strengths.demographics, found.strengths.answers) == (0.0, 0.0)


def test_what_is_fitted_on_one_mix_is_right_in_another() -> None:
    labels, logits = simulated_logits(6000, seed=2, shares=BIOPSIES)
    found = fit_calibration(2.0 * logits, labels)
    others, seen = simulated_logits(20_000, seed=3, shares=np.array(HAM10000.shares))
    served = found.probabilities(2.0 * seen, HAM10000)
    balanced = softmax(2.0 * seen)
    error = metrics.malignant_calibration_error
    once = np.ones((1, others.size))
    assert error(others, served)(once)[0] < 0.01
    assert error(others, balanced)(once)[0] > 0.03


def test_a_diagnosis_without_a_picture_stays_possible() -> None:
    labels, logits = simulated_logits(300, seed=4)
    there = labels != Diagnosis.VASC.position
    found = fit_calibration(logits[there], labels[there])
    assert np.isfinite(found.probabilities(logits, HAM10000)).all()
    assert found.prior_strength > 0.5


def test_strengths_of_what_is_known_beside_the_picture() -> None:
    generator = np.random.default_rng(5)
    labels, logits = simulated_logits(6000, seed=5, sharpness=1.0)
    told = generator.normal(0, 1.0, (6000, 8))
    # Something true, said twice as loud as it should be, and something that has nothing to do with it.
    loud = 2.0 * (told + np.eye(8)[labels])
    noise = generator.normal(0, 1.0, (6000, 8))
    found = fit_calibration(logits, labels, demographics=loud, answers=noise)
    assert found.strengths.demographics == pytest.approx(0.5, abs=0.06)
    assert found.strengths.answers == pytest.approx(0.0, abs=0.03)
    whispered = fit_calibration(logits, labels, demographics=loud / 10)
    assert whispered.strengths.demographics == STRENGTH_MAX
    unknown = fit_calibration(logits, labels, demographics=np.zeros((6000, 8)), answers=None)
    assert (unknown.strengths.demographics, unknown.strengths.answers) == (0.0, 0.0)
    assert unknown.temperature == pytest.approx(found.temperature)


def test_the_advice_reaches_its_targets_where_it_was_chosen_and_nearly_elsewhere() -> None:
    labels, probabilities = simulated(600, seed=1)
    decision = choose_decision(labels, probabilities, even(labels))
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
    decision = choose_decision(labels, probabilities, even(labels))
    assert decision is not None
    scores = metrics.malignant_score(probabilities)
    higher = np.min(scores[scores > decision["soon"]["threshold"]])
    cancers, melanomas = metrics.is_malignant(labels), labels == Diagnosis.MEL.position
    assert min((scores[chosen] >= higher).mean() for chosen in (cancers, melanomas)) < SOON_SENSITIVITY


def test_specificity_is_that_of_the_case_mix_and_not_of_the_pictures() -> None:
    labels, probabilities = simulated(20_000, seed=7)
    # Of the nevi one in ten is kept, as where people come for biopsies.
    kept = (labels != Diagnosis.NV.position) | (np.arange(labels.size) % 10 == 0)
    whole = choose_decision(labels, probabilities, even(labels))
    fewer, weights = labels[kept], np.where(labels[kept] == Diagnosis.NV.position, 10.0, 1.0)
    weighted = choose_decision(fewer, probabilities[kept], weights)
    unweighted = choose_decision(fewer, probabilities[kept], even(fewer))
    assert whole is not None
    assert weighted is not None
    assert unweighted is not None
    expected = whole["urgent"]["threshold"]
    assert weighted["urgent"]["threshold"] == pytest.approx(expected, abs=0.02)
    assert unweighted["urgent"]["threshold"] > expected + 0.03
    points = {point.name: point for point in choose_operating_points(fewer, probabilities[kept], weights)}
    sensitive = points["sensitive"]
    benign = ~metrics.is_malignant(fewer)
    below = metrics.malignant_score(probabilities[kept]) < sensitive.threshold
    assert sensitive.specificity == pytest.approx(weights[benign & below].sum() / weights[benign].sum())
    assert sensitive.sensitivity >= 0.95


def test_too_few_melanomas_do_not_send_everybody_to_a_clinic() -> None:
    labels, probabilities = simulated(600, seed=8)
    melanomas = np.flatnonzero(labels == Diagnosis.MEL.position)
    probabilities[melanomas[0]] = np.eye(8)[Diagnosis.NV.position]  # a melanoma that looks like a mole
    others = labels != Diagnosis.MEL.position
    thresholds = {}
    for count in (MELANOMAS_MIN - 1, 2 * MELANOMAS_MIN):
        kept = others | np.isin(np.arange(labels.size), melanomas[:count])
        decision = choose_decision(labels[kept], probabilities[kept], even(labels[kept]))
        assert decision is not None
        thresholds[count] = decision["soon"]["threshold"]
    assert min(thresholds.values()) > 0.0


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
        assert choose_decision(labels[chosen], probabilities[chosen], even(labels[chosen])) is None


def test_the_steps_of_the_score_hold_both_thresholds_and_like_numbers_of_pictures() -> None:
    labels, probabilities = simulated(600, seed=6)
    scores = metrics.malignant_score(probabilities)
    edges = choose_edges(scores, even(labels), soon=0.3, urgent=0.7)
    assert edges is not None
    assert len(edges) == 9
    assert edges == sorted(set(edges))
    assert (edges[3], edges[6]) == (0.3, 0.7)
    counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=10)
    assert counts[:4].max() - counts[:4].min() <= 2
    heavy = np.where(scores < np.quantile(scores[scores < 0.3], 0.25), 3.0, 1.0)
    weighted = choose_edges(scores, heavy, soon=0.3, urgent=0.7)
    assert weighted is not None
    assert weighted[0] < edges[0]


def test_where_few_pictures_lie_the_steps_are_equally_wide() -> None:
    scores = np.r_[[0.01, 0.02], np.linspace(0.3, 0.99, 60)]
    edges = choose_edges(scores, np.ones(scores.size), soon=0.2, urgent=0.6)
    assert edges is not None
    assert edges[:4] == pytest.approx([0.05, 0.10, 0.15, 0.2])


@pytest.mark.parametrize(("scores", "soon"), [(np.full(50, 0.1), 0.05), (np.linspace(0, 1, 90), 0.7)])
def test_too_like_scores_or_thresholds_have_no_steps(scores: np.ndarray, soon: float) -> None:
    assert choose_edges(scores, np.ones(scores.size), soon=soon, urgent=0.7) is None


def sets_of(logits: np.ndarray, threshold: float, calibration: Calibration) -> list[tuple[str, ...]]:
    thresholds = dict.fromkeys(CODES, threshold)
    return [prediction_set(row, thresholds) for row in calibration.probabilities(logits, HAM10000)]


def test_prediction_sets_hold_the_truth_as_often_as_they_promise() -> None:
    covered = []
    for seed in range(30):
        # Calibrated on another mix than the one that is promised for, with three pictures of each lesion.
        labels, logits = simulated_logits(500, seed=seed, shares=BIOPSIES, sharpness=1.0)
        threshold = set_threshold(logits, labels, np.arange(500) // 3, case_mix=HAM10000)
        others, seen = simulated_logits(300, seed=1000 + seed, shares=np.array(HAM10000.shares), sharpness=1.0)
        sets = sets_of(seen, threshold, fit_calibration(logits, labels))
        covered.append(np.mean([CODES[label] in codes for label, codes in zip(others, sets, strict=True)]))
    # Of 9,000 pictures; the nevi of the calibration pictures are 65, and weigh as two thirds of them.
    assert COVERAGE - 0.015 <= np.mean(covered) <= COVERAGE + 0.03


def test_the_threshold_is_found_without_the_lesion_of_a_picture() -> None:
    groups = [f"lesion-{number // 3}" for number in range(90)]
    dealt = folds(groups)
    assert set(dealt) == set(range(FOLDS))
    assert all(len({fold for fold, each in zip(dealt, groups, strict=True) if each == group}) == 1 for group in groups)
    assert np.array_equal(dealt, folds(groups))


def test_a_threshold_is_the_usual_one_for_equal_weights_and_0_for_too_few() -> None:
    given = np.linspace(0.1, 1.0, 10)
    # The ceil((10 + 1) * 0.8)-th largest of ten (Angelopoulos & Bates 2021).
    assert reached_by(given, np.ones(10), 0.8) == pytest.approx(0.2)
    assert reached_by(given, np.ones(10), 0.95) == 0.0
    assert reached_by(given, np.where(given > 0.9, 100.0, 1.0), 0.8) == pytest.approx(1.0)


def test_the_kind_of_a_picture_is_learned_from_features() -> None:
    generator = np.random.default_rng(9)
    dermoscopic = np.arange(400) % 2 == 0
    features = generator.normal(0, 1.0, (400, 12)) * np.linspace(0.1, 10.0, 12)
    features[:, 3] += np.where(dermoscopic, 2.0, -2.0) * 3.0
    features[:, 7] = 5.0  # a constant feature
    head = fit_image_type_head(features[:200].astype(np.float32), dermoscopic[:200])
    said = head.probability(features[200:])
    found = measure_image_type_head(dermoscopic[200:], said, np.arange(200) // 2)
    assert found["pictures"] == 200
    assert found["accuracy"]["value"] > 0.9
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]
    assert set(found["recognised"]) == {DERMOSCOPIC, CLOSE_UP}
