"""The bootstrap over lesions, compared with drawing lesions one after another and with SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import bootstrap as scipy_bootstrap

from recognition.evaluation import bootstrap, metrics
from recognition.evaluation.bootstrap import estimates, paired_differences, redrawn
from recognition.evaluation.intervals import ROUNDS, SEED
from recognition.evaluation.metrics import balanced_accuracy, mean_sensitivity, proportion
from tests.recognition.evaluation.made import made_lesions


def test_a_round_draws_whole_lesions_as_many_of_each_diagnosis_as_there_are() -> None:
    labels, groups, _ = made_lesions(seed=1)
    (counts,) = redrawn(labels, groups, rounds=50, seed=2)
    names, first = np.unique(groups, return_index=True)
    for group, at in zip(names, first, strict=True):
        assert (counts[:, groups == group] == counts[:, [at]]).all()
    by_lesion = counts[:, first]
    for label in range(8):
        of_it = labels[first] == label
        assert (by_lesion[:, of_it].sum(axis=1) == of_it.sum()).all()
    # Lesions with several pictures and lesions with one are drawn equally often.
    assert abs(by_lesion.mean() - 1.0) < 1e-9
    assert by_lesion.max() > 1


def test_without_lesions_each_picture_is_one() -> None:
    labels = np.array([1, 1, 1, 0, 0])
    (alone,) = redrawn(labels, None, rounds=9, seed=1)
    (named,) = redrawn(labels, ["e", "d", "c", "b", "a"], rounds=9, seed=1)
    assert np.array_equal(alone, named)  # and the names of lesions do not matter
    assert (alone[:, :3].sum(axis=1) == 3).all()


def test_a_patient_with_two_diagnoses_is_drawn_with_the_rarer() -> None:
    labels = np.array([1, 1, 1, 1, 7, 7])
    (counts,) = redrawn(labels, ["a", "b", "c", "p", "p", "q"], rounds=200, seed=3)
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3] == counts[:, 4]).all()
    assert (counts[:, 4] + counts[:, 5] == 2).all()


def test_another_number_of_lesions_than_pictures_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 pictures, but 1"):
        list(redrawn(np.array([1, 1]), ["a"], rounds=1, seed=1))


def test_blocks_are_the_same_rounds_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, groups, _ = made_lesions(seed=1)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", labels.size * 7)
    blocks = list(redrawn(labels, groups, rounds=20, seed=2))
    assert [len(block) for block in blocks] == [7, 7, 6]


def test_intervals_are_those_of_drawing_lesions_one_after_another() -> None:
    labels, groups, table = made_lesions(seed=4)
    cancer, score, right = metrics.is_malignant(labels), metrics.malignant_score(table), table.argmax(axis=1) == labels
    found = estimates({"auc": _auc(labels, table), "balanced": mean_sensitivity(labels, table)}, labels, groups)
    generator, values = np.random.default_rng(11), []
    rows_of = {lesion: np.flatnonzero(groups == lesion) for lesion in np.unique(groups)}
    lesions = [np.unique(groups[labels == label]) for label in range(8)]
    for _ in range(ROUNDS):
        drawn = np.concatenate([generator.choice(each, each.size) for each in lesions])
        rows = np.concatenate([rows_of[lesion] for lesion in drawn])
        pairs = score[rows][cancer[rows]][:, None] - score[rows][~cancer[rows]][None]
        auc = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
        values.append((auc, np.mean([right[rows][labels[rows] == label].mean() for label in range(8)])))
    for name, seen in zip(("auc", "balanced"), np.transpose(values), strict=True):
        low, high = np.percentile(seen, [2.5, 97.5])
        # Two draws of 1,000 rounds: their percentiles differ by some hundredths of the width.
        assert [found[name].low, found[name].high] == pytest.approx([low, high], abs=0.1 * (high - low))


def test_the_interval_of_one_diagnosis_is_that_of_scipy() -> None:
    values = np.random.default_rng(5).random(60)
    labels = np.ones(60, dtype=int)
    found = estimates({"": metrics.mean(values)}, labels, None, rounds=4000)[""]
    theirs = scipy_bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(6))
    low, high = theirs.confidence_interval
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.05 * (high - low))


def test_pictures_of_one_lesion_make_the_interval_wider() -> None:
    # Every lesion five times: as much is known as with each once.
    labels, groups, table = made_lesions(seed=6, pictures=1)
    five = np.tile(np.arange(labels.size), 5)
    metric = {"": mean_sensitivity(labels[five], table[five])}
    once = estimates({"": mean_sensitivity(labels, table)}, labels, groups)[""]
    by_lesion = estimates(metric, labels[five], groups[five])[""]
    by_picture = estimates(metric, labels[five], None)[""]
    width = once.high - once.low
    assert by_lesion.high - by_lesion.low == pytest.approx(width, rel=0.1)
    assert by_picture.high - by_picture.low < 0.6 * width


def test_the_interval_holds_the_figure_and_shrinks_with_more_pictures() -> None:
    def width(lesions: int) -> float:
        labels, groups, table = made_lesions(seed=5, lesions=lesions)
        found = estimates({"": mean_sensitivity(labels, table)}, labels, groups, rounds=200)[""]
        assert found.low <= balanced_accuracy(labels, table) <= found.high
        return found.high - found.low

    assert width(2000) < width(200) / 2


@pytest.mark.parametrize("lesions", [1, 10, 59])
def test_none_and_all_have_the_exact_bound_for_the_number_of_lesions(lesions: int) -> None:
    labels, groups = np.zeros(3 * lesions, dtype=int), np.repeat(np.arange(lesions), 3)
    every = np.ones(labels.size, dtype=bool)
    found = estimates({"none": proportion(~every, every), "all": proportion(every, every)}, labels, groups, rounds=20)
    exact = binomtest(0, lesions, alternative="less").proportion_ci(0.95, method="exact")
    assert (found["none"].value, found["none"].low) == (0.0, 0.0)
    assert found["none"].high == pytest.approx(exact.high)
    assert (found["all"].value, found["all"].high) == (1.0, 1.0)
    assert found["all"].low == pytest.approx(1 - exact.high)


def test_one_more_that_is_wrong_does_not_raise_the_lower_end() -> None:
    # All of 30 have a bound by formula, 29 of 30 by the rounds: they fit together.
    labels, right = np.zeros(30, dtype=int), np.ones(30, dtype=bool)
    ends = []
    for wrong in range(4):
        right[:wrong] = False
        ends.append(estimates({"": proportion(right, np.ones(30, bool))}, labels, None)[""].low)
    assert ends == sorted(ends, reverse=True)


def test_an_interval_without_a_figure_is_nan() -> None:
    labels = np.array([1, 1])
    table = np.full((2, 8), 0.125)
    wanted = {
        "auc": metrics.auc(metrics.is_malignant(labels), metrics.malignant_score(table)),
        "share": proportion(labels == 1, labels == 0),
    }
    for found in estimates(wanted, labels, None, rounds=5).values():
        assert math.isnan(found.value) and math.isnan(found.low) and math.isnan(found.high)


def test_the_interval_of_a_calibration_error_is_shifted_back_by_what_redrawing_adds() -> None:
    # A perfect classifier: what it says comes true as often as it says.
    generator = np.random.default_rng(12)
    table = generator.dirichlet(np.full(8, 0.5), 1200)
    labels = (table.cumsum(axis=1) > generator.random((1200, 1))).argmax(axis=1)
    metric = metrics.classwise_calibration_error(labels, table)
    found = estimates({"": metric}, labels, None)[""]
    (counts,) = redrawn(labels, None, rounds=ROUNDS, seed=SEED)
    rounds = metric(counts)
    low, high = np.percentile(rounds, [2.5, 97.5])
    assert low > found.value  # this is why
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(high - low)
    assert np.mean([found.low, found.high]) == pytest.approx(found.value, rel=0.1)


class TestPairedDifferences:
    def test_the_difference_of_two_on_the_same_lesions(self) -> None:
        labels, groups, table = made_lesions(seed=7)
        generator = np.random.default_rng(8)
        better = table + 0.15 * np.eye(8)[labels] + 0.01 * generator.random(table.shape)
        new, live = ({"auc": _auc(labels, each), "bal": mean_sensitivity(labels, each)} for each in (better, table))
        found = paired_differences(new, live, labels, groups)
        (counts,) = redrawn(labels, groups, rounds=ROUNDS, seed=SEED)
        for name in ("auc", "bal"):
            low, high = np.percentile(new[name](counts) - live[name](counts), [2.5, 97.5])
            value = bootstrap.on_all(new[name], labels) - bootstrap.on_all(live[name], labels)
            assert [found[name].value, found[name].low, found[name].high] == pytest.approx([value, low, high])
            assert found[name].low > 0
        # Far narrower than if the two had been measured on different lesions.
        apart = estimates(new, labels, groups)["bal"]
        assert found["bal"].high - found["bal"].low < 0.9 * (apart.high - apart.low)

    def test_the_difference_of_calibration_errors_is_centred(self) -> None:
        labels, groups, table = made_lesions(seed=11)
        sharper = table**3 / (table**3).sum(axis=1, keepdims=True)
        new, live = ({"": metrics.malignant_calibration_error(labels, each)} for each in (sharper, table))
        found = paired_differences(new, live, labels, groups)[""]
        (counts,) = redrawn(labels, groups, rounds=ROUNDS, seed=SEED)
        rounds = new[""](counts) - live[""](counts)
        low, high = np.percentile(rounds, [2.5, 97.5])
        assert found.value == bootstrap.on_all(new[""], labels) - bootstrap.on_all(live[""], labels)
        shift = found.value - rounds.mean()
        assert abs(shift) > 1e-4
        assert [found.low, found.high] == pytest.approx([low + shift, high + shift])

    def test_a_classifier_and_itself(self) -> None:
        labels, groups, table = made_lesions(seed=9)
        one = {"auc": _auc(labels, table)}
        found = paired_differences(one, one, labels, groups)["auc"]
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)

    def test_a_worse_one_of_the_same_kind_is_not_better(self) -> None:
        labels, groups, table = made_lesions(seed=10)
        noise = np.random.default_rng(3).permutation(table)
        found = paired_differences({"": _auc(labels, noise)}, {"": _auc(labels, table)}, labels, groups)[""]
        assert found.high < 0

    def test_other_metrics_are_an_error(self) -> None:
        labels, groups, table = made_lesions(seed=9)
        with pytest.raises(ValueError, match="same metrics"):
            paired_differences({"a": _auc(labels, table)}, {}, labels, groups)


def _auc(labels: np.ndarray, table: np.ndarray) -> metrics.Metric:
    return metrics.auc(metrics.is_malignant(labels), metrics.malignant_score(table))
