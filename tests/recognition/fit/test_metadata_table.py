"""The metadata table: what is learned from which rows, and what it is worth on held-out pictures."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recognition.datasets.examples import COLUMNS, Examples
from recognition.datasets.splits import dealt_split
from recognition.fit.calibration.metadata_figures import FULL, PICTURE_ALONE, HeldOut, figures, sensitivity_at
from recognition.fit.calibration.metadata_table import learn_table, learnable
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.inference.metadata import Metadata, Strengths
from recognition.taxonomy import CLOSE_UP, CODES

FULL_STRENGTH = Strengths(1.0, 1.0)


def rows(*given: dict[str, Any]) -> pd.DataFrame:
    plain = {
        "image_type": CLOSE_UP, "age_approx": math.nan, "anatom_site_general": None, "lesion_id": None,
        "patient_id": None, "sex": None, "sha256": "", "details": {},
    }  # fmt: skip
    made = [{**plain, "image": f"I{number:04d}", **row} for number, row in enumerate(given)]
    return pd.DataFrame(made, columns=list(COLUMNS))


def asked(code: str, count: int, **details: str) -> list[dict[str, Any]]:
    return [{"diagnosis": code, "details": details} for _ in range(count)]


def test_the_ratio_is_observed_to_expected_lesions() -> None:
    table = learn_table(
        rows(*asked("MEL", 9, changed="True"), *asked("MEL", 1, changed="False"), *asked("NV", 10, changed="False")),
        BALANCED,
    )
    assert list(table.ratios) == ["changed"], "nothing is known of the other fields"
    # In a mix of half melanomas and half nevi, "changed" is expected of 0.45 of ten lesions; two are added to both.
    assert table.ratios["changed"]["True"][:2] == pytest.approx((math.log(11 / 6.5), math.log(2 / 6.5)))
    assert table.ratios["changed"]["False"][:2] == pytest.approx((math.log(3 / 7.5), math.log(12 / 7.5)))
    told = table.contribution(Metadata(changed=True), FULL_STRENGTH)
    assert told[0] > 0 > told[1]


def test_a_diagnosis_without_rows_and_what_is_unknown_learn_exactly_nothing() -> None:
    table = learn_table(
        rows(*asked("MEL", 9, changed="True"), *asked("NV", 10, changed="False"), *asked("BCC", 30, changed="UNK")),
        HAM10000,
    )
    for row in table.ratios["changed"].values():
        assert [row[CODES.index(code)] for code in CODES if code not in ("MEL", "NV")] == [0.0] * 6
    assert not table.contribution(Metadata(itch=True, age_approx=50), FULL_STRENGTH).any()
    assert not table.contribution(None, FULL_STRENGTH).any()


def test_few_rows_count_little_and_pictures_of_one_lesion_count_once() -> None:
    others = [{"diagnosis": "NV", "sex": ("male", "female")[at % 2]} for at in range(200)]

    def male(*melanomas: dict[str, Any]) -> float:
        return learn_table(rows(*others, *melanomas), BALANCED).ratios["sex"]["male"][0]

    few = male(*[{"diagnosis": "MEL", "sex": "male"}] * 2)
    many = male(*[{"diagnosis": "MEL", "sex": "male"}] * 50)
    assert 0 < few < many / 1.5
    alike = [{"diagnosis": "MEL", "sex": "male", "lesion_id": f"L{at % 2}"} for at in range(50)]
    assert male(*alike) == pytest.approx(few)


def test_sites_of_a_source_without_a_word_for_the_torso_are_not_learned() -> None:
    told = [
        {"diagnosis": "BCC", "anatom_site_general": "posterior torso", "sex": "male"},
        {"diagnosis": "NV", "anatom_site_general": "head/neck", "sex": "female"},
    ]
    milk10k = [
        {"diagnosis": "BCC", "anatom_site_general": "head/neck", "sex": "male", "details": {"site": "head_neck_face"}},
        {"diagnosis": "BCC", "sex": "male", "details": {"site": "trunk"}},
    ]
    alone, both = (learn_table(rows(*each), BALANCED).ratios for each in (told, told + milk10k))
    assert both["anatom_site_general"] == alone["anatom_site_general"]
    assert both["sex"] != alone["sex"]


def test_only_training_rows_of_nobody_held_out_are_learned() -> None:
    table = rows(
        {"image": "A", "diagnosis": "MEL", "patient_id": "P1", "sha256": "1"},
        {"image": "B", "diagnosis": "NV", "patient_id": "P2", "sha256": "2"},
        {"image": "C", "diagnosis": "NV", "lesion_id": "L3", "sha256": "3"},
        {"image": "D", "diagnosis": "NV", "sha256": "4"},
    )
    further = rows(
        {"image": "E", "diagnosis": "SCC", "patient_id": "P1"},
        {"image": "F", "diagnosis": "SCC", "patient_id": "P2"},
        {"image": "G", "diagnosis": "SCC", "lesion_id": "L3"},
        {"image": "H", "diagnosis": "SCC"},
    )
    split = dealt_split({"A": "train", "B": "test", "C": "calibration", "D": "validation"})
    assert list(learnable(Examples("made", table, "f", further), split)["image"]) == ["A", "E", "H"]
    assert list(learnable(Examples("made", table, "f"), split)["image"]) == ["A"]


def test_answers_that_tell_what_the_picture_does_not_raise_the_figures() -> None:
    random = np.random.default_rng(3)
    labels = np.tile(np.array([0, 1]), 100)
    metadata = [Metadata(changed=bool(random.random() < (0.9 if label == 0 else 0.1))) for label in labels]
    held_out = HeldOut(labels, random.normal(0, 1, (200, 8)), metadata, [f"P{at // 2}" for at in range(200)])
    learned = learn_table(
        rows(
            *asked("MEL", 90, changed="True"), *asked("MEL", 10, changed="False"),
            *asked("NV", 10, changed="True"), *asked("NV", 90, changed="False"),
        ),
        BALANCED,
    )  # fmt: skip
    found = figures(held_out, learned, Calibration(), BALANCED, FULL)
    alone, told = found[PICTURE_ALONE], found["with the six answers"]
    assert told["AUC"].low > alone["AUC"].high
    assert told["accuracy"].value > alone["accuracy"].value
    assert told["melanomas"].value == told["cancers"].value > alone["cancers"].value
    # Age, sex and site are unknown here.
    assert found["with age, sex, site"] == alone and found["with both"] == told
    without = figures(held_out, learned, Calibration(), BALANCED, Strengths())
    assert without["with both"] == without[PICTURE_ALONE] == alone


def test_the_sensitivity_at_a_specificity_counts_ties_together() -> None:
    scores = np.array([0.9, 0.8, 0.8, 0.5, 0.4, 0.3, 0.2])
    positive = np.array([True, True, False, True, False, False, False])
    metric = sensitivity_at(positive, ~positive, scores, specificity=0.75)
    ones = np.ones((1, 7))
    assert metric(ones) == pytest.approx(1.0), "one of four may be flagged: the one with 0.8, before the last cancer"
    assert sensitivity_at(positive, ~positive, scores, specificity=0.9)(ones) == pytest.approx(1 / 3)
    twice = np.array([[1, 1, 2, 1, 1, 1, 1]])
    assert metric(twice) == pytest.approx(1 / 3), "the benign picture that was drawn twice is too many"
    assert math.isnan(metric(np.array([[0, 0, 1, 0, 1, 1, 1]]))[0])
