"""The alarm for degenerate output: for a broken network, and not for a week of similar pictures."""

from typing import Any

import numpy as np
import pytest

from recognition.inference.degenerate_output import PREDICTIONS_MIN, find_degenerate_output, live_reference
from recognition.taxonomy import CODES


def predictions(count: int, *, nevi: float, seed: int = 0) -> Any:
    """Predictions of a working classifier: sharp, some of them nevi."""
    generator = np.random.default_rng(seed)
    named = np.where(generator.random(count) < nevi, 1, generator.integers(0, 8, count))
    return (0.7 * np.eye(8)[named] + 0.3 * generator.dirichlet(np.ones(8), count)).tolist()


REFERENCE = live_reference(predictions(500, nevi=0.5))


def test_the_reference_describes_the_calibration_answers() -> None:
    assert REFERENCE["pictures"] == 500
    assert sum(REFERENCE["shares"].values()) == pytest.approx(1.0)
    assert sum(REFERENCE["mean"].values()) == pytest.approx(1.0)
    assert REFERENCE["shares"]["NV"] > 0.5
    assert REFERENCE["spread"] > 0.2
    assert live_reference([])["pictures"] == 0


def test_the_reference_can_be_weighted_to_a_case_mix() -> None:
    """One melanoma that weighs three times as much as one nevus."""
    table = [[0.9, 0.1, 0, 0, 0, 0, 0, 0], [0.2, 0.8, 0, 0, 0, 0, 0, 0]]
    found = live_reference(table, np.array([1.5, 0.5]))
    assert (found["shares"]["MEL"], found["shares"]["NV"]) == (0.75, 0.25)
    assert found["mean"]["MEL"] == pytest.approx(0.75 * 0.9 + 0.25 * 0.2)
    assert found["scores"] == pytest.approx([0, 0, 0.25, 0, 0, 0, 0, 0, 0, 0.75])
    assert (found["pictures"], found["effective_pictures"]) == (2, 1)


@pytest.mark.parametrize("nevi", [0.0, 0.5, 0.8])
def test_a_working_classifier_raises_no_alarm(nevi: float) -> None:
    assert find_degenerate_output(predictions(60, nevi=nevi, seed=4), REFERENCE) is None


def test_predictions_that_do_not_depend_on_the_picture_raise_one() -> None:
    same = [[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]] * 50
    finding = find_degenerate_output(same, REFERENCE)
    assert finding is not None
    assert (finding.code, finding.predictions) == ("constant", 50)
    assert finding.measured < finding.limit
    nearly = (np.array(same) + np.random.default_rng(1).normal(0, 0.002, (50, 8))).tolist()
    assert find_degenerate_output(nearly, REFERENCE) is not None
    assert find_degenerate_output(same, {}) is not None, "also where the bundle has no figures of its own"


def test_one_diagnosis_for_nearly_all_does() -> None:
    rows = predictions(60, nevi=0.0, seed=2)
    for row in rows[:59]:
        row[CODES.index("DF")] += 2.0
    rows = [[each / sum(row) for each in row] for row in rows]
    finding = find_degenerate_output(rows, REFERENCE)
    assert finding is not None
    assert (finding.code, finding.diagnosis) == ("one_diagnosis", "DF")
    assert finding.measured >= finding.limit


def test_nevi_alone_are_no_alarm_where_nearly_all_were_nevi_before() -> None:
    rows = predictions(40, nevi=1.0)
    assert find_degenerate_output(rows, REFERENCE) is not None
    mostly = REFERENCE | {"shares": dict.fromkeys(CODES, 0.01) | {"NV": 0.93}}
    assert find_degenerate_output(rows, mostly) is None


def test_a_few_predictions_say_nothing() -> None:
    assert find_degenerate_output([[0.125] * 8] * (PREDICTIONS_MIN - 1), REFERENCE) is None
    assert find_degenerate_output([], REFERENCE) is None
    with pytest.raises(ValueError, match="expected"):
        find_degenerate_output([[0.5, 0.5]] * 40, REFERENCE)
