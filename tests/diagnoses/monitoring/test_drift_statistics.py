"""The statistics of drift, compared with values calculated by hand or from the publications."""

import math
import random

import pytest
from scipy.stats import chi2

from diagnoses.monitoring.drift import statistics
from recognition.evaluation.agreement import Share


def test_scores_fall_into_equal_parts() -> None:
    assert statistics.histogram([0.0, 0.05, 0.1, 0.95, 1.0], 10) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert statistics.histogram([], 4) == [0, 0, 0, 0]


class TestStabilityIndex:
    def test_nothing_moved(self) -> None:
        assert statistics.stability_index([50, 30, 20], [500, 300, 200]) == pytest.approx(0, abs=1e-4)

    def test_by_hand(self) -> None:
        """Shares 0.5, 0.5 and 0.8, 0.2: 0.3 ln 1.6 - 0.3 ln 0.4 = 0.41589; smoothing vanishes with many."""
        expected = 0.3 * math.log(1.6) - 0.3 * math.log(0.4)
        assert statistics.stability_index([500_000, 500_000], [800_000, 200_000]) == pytest.approx(expected, abs=1e-5)

    def test_a_part_that_is_empty_on_one_side_is_finite(self) -> None:
        assert 0 < statistics.stability_index([100, 0], [50, 50]) < math.inf

    def test_nothing_to_compare(self) -> None:
        assert statistics.stability_index([], []) == 0
        assert statistics.stability_index([0, 0], [5, 5]) == 0
        assert statistics.stability_by_chance([0, 0], [5, 5]) == math.inf

    def test_chance_seldom_exceeds_its_limit(self) -> None:
        """Of 2,000 pairs of samples of one distribution about two exceed the 99.9 % limit."""
        source = random.Random(4)
        over = 0
        for _ in range(2000):
            sides = [statistics.histogram([source.random() ** 2 for _ in range(300)], 10) for _side in range(2)]
            over += statistics.stability_index(*sides) > statistics.stability_by_chance(*sides)
        assert over <= 8


def test_total_variation() -> None:
    assert statistics.total_variation([1, 1], [2, 2]) == 0
    assert statistics.total_variation([10, 0], [0, 7]) == 1
    assert statistics.total_variation([50, 50], [80, 20]) == pytest.approx(0.3)
    assert statistics.total_variation([0, 0], [1, 1]) == 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # Chi-square 0 and 19.78 with one degree of freedom; the limit is 10.83.
        ([50, 50], [50, 50], True),
        ([50, 50], [80, 20], False),
        # 5.49: significant at 0.05, not at 0.001.
        ([50, 50], [66, 34], True),
        ([0, 0], [3, 4], True),
        ([9, 0], [8, 0], True),
    ],
)
def test_homogeneity(before: list[int], after: list[int], expected: bool) -> None:
    assert statistics.is_by_chance(before, after) is expected


def test_difference() -> None:
    """Method 10 in table II of Newcombe 1998, from its intervals of 48/80 and 56/70: 0.0524 to 0.3339."""
    before, after = Share(48, 80, 0.6, 0.490455, 0.700382), Share(56, 70, 0.8, 0.691834, 0.876953)
    low, high = statistics.difference(before, after)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_quantiles_of_chi_square_are_those_of_scipy() -> None:
    """They are constants, because the web process loads no SciPy."""
    expected = [chi2.ppf(0.999, degrees) for degrees in range(1, 11)]
    assert list(statistics.CHI_SQUARE_999) == pytest.approx(expected, abs=1e-3)
