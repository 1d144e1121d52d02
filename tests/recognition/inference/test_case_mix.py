"""The case mix: shares, weights, the file of an operator, and HAM10000 as the official tables have it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recognition.datasets.csv_files import read_csv
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED, HAM10000, CaseMix, read_case_mix
from recognition.taxonomy import CODES

TABLE = Path(__file__).parents[3] / "../shared/data/isic2019-full-tables/ISIC_2019_Training_GroundTruth.csv"


def test_weighted_pictures_have_the_shares_of_the_mix() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [4] * 3)
    weights = HAM10000.weights(labels)
    assert weights.mean() == pytest.approx(1.0)
    shares = np.bincount(labels, weights, minlength=8) / weights.sum()
    expected = np.array(HAM10000.shares)[[0, 1, 4]]
    assert np.allclose(shares[[0, 1, 4]], expected / expected.sum())
    assert CaseMix("no moles", (0.5, 0.0, 0.5, 0, 0, 0, 0, 0)).weights(np.array([1, 1])).tolist() == [1.0, 1.0]


def test_the_log_shares_move_the_probabilities_of_a_balanced_world_to_those_of_the_mix() -> None:
    likelihoods = np.array([0.2, 0.4, 0.1, 0.05, 0.3, 0.1, 0.2, 0.1])
    found = Calibration(prior_strength=1.0).probabilities(np.log(likelihoods), HAM10000)
    expected = likelihoods * np.array(HAM10000.shares)
    assert np.allclose(found, expected / expected.sum())
    balanced = Calibration(prior_strength=1.0).probabilities(np.log(likelihoods), BALANCED)
    assert np.allclose(balanced, likelihoods / likelihoods.sum())


def test_a_file_states_eight_shares_and_anything_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "clinic.json"
    shares = dict(zip(CODES, (0.05, 0.6, 0.1, 0.05, 0.15, 0.02, 0.02, 0.01), strict=True))
    path.write_text(json.dumps(shares))
    mix = read_case_mix(path)
    assert mix.name == "clinic"
    assert mix.shares[1] == pytest.approx(0.6)
    assert CaseMix.from_json(mix.as_json()) == mix
    for content in (
        "",
        "[]",
        "{",
        json.dumps(shares | {"MEL": 0.5}),
        json.dumps(shares | {"MEL": -0.05}),
        '{"MEL": 1}',
        json.dumps(shares | {"MEL": 10**400}),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"clinic\.json"):
            read_case_mix(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_case_mix(tmp_path / "nowhere.json")


def test_ham10000_is_what_the_official_tables_count() -> None:
    if not TABLE.is_file():
        pytest.skip("needs the tables of ../shared/data/isic2019-full-tables")
    counts = Counter(
        next(code for code in CODES if float(row[code]) == 1.0)
        for row in read_csv(TABLE).rows
        if "ISIC_0024306" <= row["image"] <= "ISIC_0034320"
    )
    assert sum(counts.values()) == 10_015
    assert np.allclose(HAM10000.shares, [counts[code] / 10_015 for code in CODES])
