"""The metadata table: what is unknown adds nothing, and what is known is added once, at its strength."""

import numpy as np
import pytest

from recognition.inference.metadata import AGE_BANDS, AGE_EDGES, WORDS, Metadata, MetadataTable, Strengths

ROW = tuple(float(each) for each in range(8))
TABLE = MetadataTable({"sex": {"male": ROW}, "bleed": {"True": tuple(-each for each in ROW)}})
FULL = Strengths(1.0, 1.0)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        Metadata(),
        Metadata(age_approx=float("nan"), sex="", anatom_site_general=""),
        Metadata(age_approx=-3, sex="other", anatom_site_general="elbow"),
        Metadata(age_approx=40, sex="female", itch=True, bleed=False),  # known, and not in the table
    ],
)
def test_what_is_unknown_adds_exactly_nothing(metadata: Metadata | None) -> None:
    assert np.array_equal(TABLE.contribution(metadata, FULL), np.zeros(8))
    assert TABLE.used(metadata, FULL) == ()


def test_each_known_field_is_added_at_the_strength_of_its_group() -> None:
    both = Metadata(sex="male", bleed=True)
    assert np.allclose(TABLE.contribution(both, FULL), 0.0)
    assert np.allclose(TABLE.contribution(both, Strengths(0.5, 0.25)), 0.25 * np.array(ROW))
    assert TABLE.used(both, Strengths(0.0, 1.0)) == ("bleed",)


def test_an_age_has_one_band_and_an_answer_three_values() -> None:
    assert len(AGE_BANDS) == len(AGE_EDGES) + 1
    bands = [Metadata(age_approx=age).words()["age_approx"] for age in (0, 29, 30, 79.5, 80, 120)]
    assert bands == ["0-29", "0-29", "30-39", "70-79", "80+", "80+"]
    assert Metadata(itch=True, grew=False, hurt=None).words() == {"itch": "True", "grew": "False"}


def test_a_table_survives_its_json_and_refuses_what_nobody_can_say() -> None:
    assert MetadataTable.from_json(TABLE.as_json()) == TABLE
    for wrong in ({"sex": {"other": ROW}}, {"shoe size": {"44": ROW}}, {"sex": {"male": ROW[:7]}}):
        with pytest.raises(ValueError, match=r"metadata|finite"):
            MetadataTable.from_json(wrong)
    with pytest.raises(ValueError, match="strength"):
        Strengths(-0.1, 0.0)
    assert all(word for words in WORDS.values() for word in words)
