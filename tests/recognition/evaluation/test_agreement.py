"""Agreement by hand: published tables, counts small enough to check on paper."""

import pytest
from sklearn.metrics import cohen_kappa_score

from recognition.evaluation.agreement import MIN_PAIRS, Change, add_up, agreement, confusion, kappa, switches, wilson
from recognition.taxonomy import CODES

# The example of Fleiss, "Statistical Methods for Rates and Proportions": two raters sort a hundred patients into
# psychotic, neurotic and organic; kappa 0.676. By hand with the formula of Fleiss, Cohen and Everitt: A = 0.2952,
# B = 0.0080, C = 0.2143, so that the standard error is the root of 0.0889 / 100, divided by 0.34: 0.0877.
RATERS = {
    ("p", "p"): 75, ("p", "n"): 1, ("p", "o"): 4,
    ("n", "p"): 5, ("n", "n"): 4, ("n", "o"): 1,
    ("o", "o"): 10,
}  # fmt: skip


def test_kappa_of_a_published_table() -> None:
    found = kappa(RATERS)
    assert found is not None
    assert found.expected == pytest.approx(0.66)
    assert found.value == pytest.approx(0.23 / 0.34)
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(0.0877, abs=5e-5)


def test_kappa_of_two_by_two() -> None:
    """Agreement 35 of 50, by chance 0.5: kappa 0.4."""
    found = kappa({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15})
    assert found is not None
    assert found.value == pytest.approx(0.4)


def test_kappa_is_that_of_scikit_learn() -> None:
    """The web process loads no scikit-learn, so the formula is in our code."""
    found = kappa(RATERS)
    one, two = zip(*[pair for pair, count in RATERS.items() for _ in range(count)], strict=True)
    assert found is not None and found.value == pytest.approx(cohen_kappa_score(one, two), abs=1e-12)


def test_kappa_where_it_means_nothing() -> None:
    assert kappa({}) is None
    assert kappa({("NV", "NV"): 50}) is None  # chance alone agrees as well


def test_full_agreement_and_full_disagreement() -> None:
    full, none = kappa({("a", "a"): 5, ("b", "b"): 5}), kappa({("a", "b"): 5, ("b", "a"): 5})
    assert full is not None and none is not None
    assert (full.value, full.low, full.high) == (1.0, 1.0, 1.0)
    assert none.value == pytest.approx(-1.0)
    assert -1.0 <= none.low <= none.high <= 1.0


def test_few_pairs_give_a_share_and_no_kappa() -> None:
    few = agreement({("NV", "NV"): MIN_PAIRS - 2, ("MEL", "NV"): 1})
    assert (few.pairs, few.kappa) == (MIN_PAIRS - 1, None)
    assert few.agreed is not None and few.agreed.hits == MIN_PAIRS - 2
    assert agreement({("NV", "NV"): MIN_PAIRS - 2, ("MEL", "NV"): 2}).kappa is not None
    assert agreement({}).agreed is None


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_of_published_shares(hits: int, of: int, low: float, high: float) -> None:
    share = wilson(hits, of)
    assert share is not None
    assert [share.low, share.high] == pytest.approx([low, high], abs=6e-5)


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert wilson(0, 0) is None
    with pytest.raises(ValueError, match="no share"):
        wilson(3, 2)


def test_the_table_keeps_the_order_and_leaves_out_who_named_none() -> None:
    table = add_up([(("MEL", "SCC"), 2), (("MEL", "SCC"), 1), (("cannot-say", "NV"), 7), (("NV", ""), 9)])
    assert table == {("MEL", "SCC"): 3}
    rows = confusion(table)
    assert rows[CODES.index("MEL")][CODES.index("SCC")] == 3
    assert sum(map(sum, rows)) == 3


def test_switches_are_counted_by_where_they_go() -> None:
    found = switches(
        {
            Change("NV", "MEL", "MEL", "MEL"): 3,  # towards, to what it is
            Change("MEL", "NV", "NV", "MEL"): 1,  # towards, from what it is
            Change("NV", "NV", "MEL"): 2,  # away
            Change("BCC", "NV", "MEL", "BKL"): 1,  # elsewhere, wrong both times
            Change("cannot-say", "NV", "NV"): 1,  # towards
            Change("NV", "NV", "NV", "NV"): 10,
            Change("NV", "", "MEL", "MEL"): 100,  # nothing was revealed
        }
    )
    assert found.switched is not None
    assert (found.readings, found.switched.hits) == (18, 8)
    assert (found.towards, found.away, found.elsewhere) == (5, 2, 1)
    assert (found.known, found.to_right, found.to_wrong) == (15, 3, 1)
