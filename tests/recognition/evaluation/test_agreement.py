"""Agreement by hand: published tables, counts small enough to check on paper; intervals against SciPy."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import cohen_kappa_score

from recognition.evaluation.agreement import (
    MIN_PAIRS,
    Change,
    agreed,
    agreement,
    confusion,
    counted_lesions,
    kappa,
    pairs_only,
    switches,
)
from recognition.taxonomy import CODES

Pair = tuple[str, str]

# The example of Fleiss, "Statistical Methods for Rates and Proportions": two raters sort a hundred patients into
# psychotic, neurotic and organic; kappa 0.676. By hand with the formula of Fleiss, Cohen and Everitt: A = 0.2952,
# B = 0.0080, C = 0.2143, so that the standard error is the root of 0.0889 / 100, divided by 0.34: 0.0877.
RATERS = {
    ("p", "p"): 75, ("p", "n"): 1, ("p", "o"): 4,
    ("n", "p"): 5, ("n", "n"): 4, ("n", "o"): 1,
    ("o", "o"): 10,
}  # fmt: skip


def once(table: Mapping[Pair, int]) -> dict[tuple[Pair, ...], int]:
    """Lesions of one pair each."""
    return {(pair,): count for pair, count in table.items()}


def test_kappa_of_a_published_table() -> None:
    found = kappa(once(RATERS))
    assert found is not None
    assert found.expected == pytest.approx(0.66)
    assert found.value == pytest.approx(0.23 / 0.34)
    # The bootstrap and the formula for large samples agree about the standard error.
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(0.0877, rel=0.1)


def test_kappa_of_two_by_two() -> None:
    """Agreement 35 of 50, by chance 0.5: kappa 0.4."""
    found = kappa(once({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}))
    assert found is not None
    assert found.value == pytest.approx(0.4)


def test_kappa_and_its_interval_are_those_of_scikit_learn_and_scipy() -> None:
    """The web process loads neither, so the formula is in our code."""
    found = kappa(once(RATERS))
    one, two = np.array([pair for pair, count in RATERS.items() for _ in range(count)]).T
    assert found is not None and found.value == pytest.approx(cohen_kappa_score(one, two), abs=1e-12)
    theirs = scipy_bootstrap(
        (one, two), cohen_kappa_score, paired=True, vectorized=False, n_resamples=600, method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert [found.low, found.high] == pytest.approx([theirs.low, theirs.high], abs=0.04)


def test_kappa_where_it_means_nothing() -> None:
    assert kappa({}) is None
    assert kappa(once({("NV", "NV"): 50})) is None  # chance alone agrees as well


def test_full_agreement_and_full_disagreement_are_not_certain() -> None:
    full, none = kappa(once({("a", "a"): 15, ("b", "b"): 15})), kappa(once({("a", "b"): 15, ("b", "a"): 15}))
    assert full is not None and none is not None
    # All 30 agree: the share is at least 0.05 to the power of 1/30, 0.905; chance gives 0.5.
    assert (full.value, full.high) == (1.0, 1.0)
    assert full.low == pytest.approx((0.05 ** (1 / 30) - 0.5) / 0.5)
    assert [none.value, none.low] == pytest.approx([-1.0, -1.0])
    assert none.high == pytest.approx(-full.low)


def test_few_pairs_give_a_share_and_no_kappa() -> None:
    few = agreement(once({("NV", "NV"): MIN_PAIRS - 2, ("MEL", "NV"): 1}))
    assert (few.pairs, few.kappa) == (MIN_PAIRS - 1, None)
    assert few.agreed is not None and few.agreed.hits == MIN_PAIRS - 2
    assert agreement(once({("NV", "NV"): MIN_PAIRS - 2, ("MEL", "NV"): 2})).kappa is not None
    assert agreement({}).agreed is None


def test_the_interval_of_a_share_is_that_of_drawing_lesions() -> None:
    right, wrong = ("NV", "NV"), ("NV", "MEL")
    lesions = {(right,): 30, (wrong,): 12, (right, right, right): 5, (wrong, wrong, wrong, wrong): 4, (right, wrong): 6}
    found = agreed(lesions)
    assert found is not None
    assert (found.hits, found.of) == (30 + 15 + 6, 30 + 12 + 15 + 16 + 12)
    each = np.array([(pairs.count(right), len(pairs)) for pairs, count in lesions.items() for _ in range(count)])
    drawn = each[np.random.default_rng(3).integers(0, len(each), (4000, len(each)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.015)
    # Wider than if every pair were a lesion by itself.
    apart = agreed(once({right: found.hits, wrong: found.of - found.hits}))
    assert apart is not None
    assert found.high - found.low > 1.15 * (apart.high - apart.low)


def test_a_share_of_none_or_all_has_the_bound_for_the_number_of_lesions() -> None:
    every = agreed({(("NV", "NV"),) * 5: 10})
    none = agreed({(("NV", "MEL"),) * 5: 10})
    assert every is not None and none is not None
    assert (every.hits, every.of, every.high) == (50, 50, 1.0)
    assert every.low == pytest.approx(0.05 ** (1 / 10))
    assert [none.low, none.high] == pytest.approx([0.0, 1 - 0.05 ** (1 / 10)])


def test_lesions_of_which_the_same_was_read_are_counted() -> None:
    read = [(1, ("MEL", "NV")), (2, ("NV", "NV")), (1, ("BCC", "NV")), (3, ("BCC", "NV")), (3, ("MEL", "NV"))]
    assert counted_lesions(read) == {(("BCC", "NV"), ("MEL", "NV")): 2, (("NV", "NV"),): 1}


def test_the_table_keeps_the_order_and_leaves_out_who_named_none() -> None:
    table = pairs_only(
        {
            (("MEL", "SCC"), ("MEL", "SCC")): 1,
            (("MEL", "SCC"), ("cannot-say", "NV")): 1,
            (("NV", ""),): 9,
        }
    )
    assert table == {(("MEL", "SCC"), ("MEL", "SCC")): 1, (("MEL", "SCC"),): 1}
    rows = confusion(table)
    assert rows[CODES.index("MEL")][CODES.index("SCC")] == 3
    assert sum(map(sum, rows)) == 3


def test_switches_are_counted_by_where_they_go() -> None:
    found = switches(
        {
            (Change("NV", "MEL", "MEL", "MEL"),): 3,  # towards, to what it is
            (Change("MEL", "NV", "NV", "MEL"),): 1,  # towards, from what it is
            (Change("NV", "NV", "MEL"),): 2,  # away
            (Change("BCC", "NV", "MEL", "BKL"),): 1,  # elsewhere, wrong both times
            (Change("cannot-say", "NV", "NV"),): 1,  # towards
            (Change("NV", "NV", "NV", "NV"),): 10,
            (Change("NV", "", "MEL", "MEL"),): 100,  # nothing was revealed
        }
    )
    assert found.switched is not None
    assert (found.readings, found.switched.hits) == (18, 8)
    assert (found.towards, found.away, found.elsewhere) == (5, 2, 1)
    assert (found.known, found.to_right, found.to_wrong) == (15, 3, 1)


def test_several_readings_of_a_lesion_are_one_lesion() -> None:
    kept, changed = Change("NV", "NV", "NV"), Change("MEL", "NV", "NV")
    together, apart = switches({(kept, changed): 20}), switches({(kept,): 20, (changed,): 20})
    assert together.switched is not None and apart.switched is not None
    assert (together.switched.hits, together.switched.of) == (apart.switched.hits, apart.switched.of) == (20, 40)
    # Every lesion is half changed: no draw differs.
    assert together.switched.low == together.switched.high == 0.5
    assert apart.switched.low < 0.4
