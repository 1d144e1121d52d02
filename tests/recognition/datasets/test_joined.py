"""Joining data sets: lesions and patients whole, sides kept, contradictions out; and the folder of a joined one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recognition.datasets.joining import (
    ASKED,
    CONTRADICTED,
    LOOKS_LIKE_ANOTHER,
    JoinedTable,
    join_tables,
    read_left_out,
    read_links,
)
from recognition.datasets.problems import ExamplesError


def part(*rows: tuple[Any, ...], look: int = 0) -> pd.DataFrame:
    """Rows of (image, diagnosis, lesion, patient, split), each with a file and a look of its own."""
    generator = np.random.default_rng(look)
    return pd.DataFrame(
        [
            {
                "image": image, "diagnosis": diagnosis, "lesion_id": lesion, "patient_id": patient, "split": split,
                "sha256": f"sha-{look}-{image}", "content_hash": generator.bytes(32), "details": {},
            }
            for image, diagnosis, lesion, patient, split in rows
        ]
    )  # fmt: skip


def sides(joined: JoinedTable) -> dict[str, str]:
    return dict(zip(joined.rows["image"], joined.rows["split"], strict=True))


def test_pictures_keep_their_side_and_linked_lesions_go_towards_training() -> None:
    first = part(("A1", "NV", "H1", None, "train"), ("A2", "MEL", "H2", None, "test"), ("A3", "NV", "H3", None, "test"))
    second = part(
        ("B1", "NV", "I1", None, "test"), ("B2", "MEL", "I2", None, "calibration"), ("B3", "BCC", "I3", None, "test"),
        ("B4", "BCC", "I3", None, "test"), look=1,
    )  # fmt: skip
    apart = join_tables({"a": first, "b": second})
    assert sides(apart) == {
        "A1": "train", "A2": "test", "A3": "test", "B1": "test", "B2": "calibration", "B3": "test", "B4": "test",
    }  # fmt: skip
    assert apart.report["lesions"] == 0 and apart.report["moved"] == {}
    links = [("I1", "H1"), ("I2", "H2"), ("I3", "H9"), ("I8", "H3")]
    joined = join_tables({"a": first, "b": second}, links=links)
    assert sides(joined) == sides(apart) | {"B1": "train", "A2": "calibration"}
    assert joined.report["lesions"] == 2
    assert joined.report["links"] == {"rows": 4, "used": 2, "not_there": 2}
    assert joined.report["leakage"] == {"before": 1, "after": 0}
    assert joined.report["moved"] == {"test to train": 1, "test to calibration": 1}
    named = joined.rows.set_index("image")
    # One lesion has one id, that of the first data set, and the other is not lost.
    assert named.loc["B1", "lesion_id"] == "H1" and named.loc["B1", "details"] == {"lesion_id": "I1"}
    assert named.loc["B3", "lesion_id"] == "I3" and named.loc["B3", "details"] == {}


def test_a_patient_of_two_data_sets_is_whole_and_none_of_the_eight_stays_in_no_split() -> None:
    first = part(("A1", "NV", "1", "P1", "train"), ("A2", "BCC", "2", "P2", "validation"))
    second = part(("B1", "MEL", "3", "P1", "test"), ("B2", "", "4", "P2", ""), ("B3", "AK", "5", "P2", "test"), look=1)
    second.loc[1, "lesion_id"] = None
    joined = join_tables({"a": first, "b": second})
    assert joined.rows.set_index("image").loc["B2", "lesion_id"] is None
    assert sides(joined) == {"A1": "train", "A2": "validation", "B1": "train", "B2": "", "B3": "validation"}
    assert joined.report["leakage"] == {"before": 1, "after": 0}


def test_an_image_of_two_data_sets_counts_once_on_the_side_nearest_training() -> None:
    first = part(("A1", "NV", "1", None, "test"), ("A2", "NV", "2", None, "test"), ("A3", "NV", "3", None, "test"))
    second = part(("A1_downsampled", "NV", "1", None, "train"), ("B2", "NV", "9", None, "train"), look=1)
    second["sha256"] = ["sha-1", first["sha256"][1]]
    third = part(("A3", "NV", "3", None, "train"), ("C1", "NV", "3", None, "train"), look=2)
    third["sha256"], third["content_hash"] = "", None
    joined = join_tables({"c": third, "a": first, "b": second})
    # The rows of the third without a picture follow the picture of A3.
    assert sides(joined) == {"A1": "train", "A2": "train", "A3": "test", "C1": "test"}
    assert joined.report["images_held_twice"] == 3
    # Of A3 the row with the picture.
    assert joined.rows.set_index("image").loc["A3", "sha256"] == "sha-0-A3"
    # Copies within one data set are its own matter.
    twins = part(("A1", "NV", "1", None, "test"), ("A2", "NV", "1", None, "test"))
    twins["sha256"] = "one"
    assert len(join_tables({"a": twins, "b": part(("B1", "NV", "2", None, "test"), look=1)}).rows) == 3


def test_rows_without_a_picture_follow_the_pictures_of_their_patient() -> None:
    first = part(("A1", "NV", "1", "P1", "test"), ("A2", "BCC", "2", "P2", "validation"), ("A3", "", "3", "P3", ""))
    bare = part(
        ("B1", "MEL", "4", "P1", "train"), ("B2", "AK", "5", "P2", "test"), ("B3", "AK", "6", "P3", "test"),
        ("B4", "AK", "7", "P3", "calibration"), look=1,
    )  # fmt: skip
    bare["sha256"], bare["content_hash"] = "", None
    joined = join_tables({"a": first, "b": bare})
    assert sides(joined) == {
        "A1": "test", "A2": "validation", "A3": "", "B1": "test", "B2": "validation", "B3": "calibration",
        "B4": "calibration",
    }  # fmt: skip
    assert joined.report["leakage"]["after"] == 0


@pytest.mark.parametrize("later", ["L1", "L2"])
def test_lesions_that_an_image_connects_stay_one_when_joined_again(later: str) -> None:
    first = part(("X", "NV", "L1", None, "test"), ("A2", "NV", "L1", None, "test"))
    second = part(
        ("X", "NV", "L2", None, "test"), ("B2", "NV", "L2", None, "test"), ("B3", "NV", "L3", None, "test"), look=1
    )
    third = part(("C1", "NV", later, None, "train"), look=2)
    both = join_tables({"a": first, "b": second}).rows
    named = both.set_index("image")
    assert named["lesion_id"].to_dict() == {"A2": "L1", "B2": "L1", "B3": "L3", "X": "L1"}
    assert named.loc["B2", "details"] == {"lesion_id": "L2"} and named.loc["X", "details"] == {}
    again = join_tables({"c": third, "ab": both})
    assert sides(again) == {"A2": "train", "B2": "train", "B3": "test", "C1": "train", "X": "train"}
    renamed = again.rows.set_index("image")
    assert set(renamed.drop("B3")["lesion_id"]) == {later}
    # An earlier id in the details stays.
    assert renamed.loc["B2", "details"] == {"lesion_id": "L2"}
    assert set(sides(join_tables({"c": third, "ab": both}, leave_out=["L2"]))) >= {"A2", "X"}
    assert "B2" not in sides(join_tables({"c": third, "ab": both}, leave_out=["L2"]))


def test_a_row_without_a_lesion_id_gets_that_of_the_same_image() -> None:
    first = part(("X", "NV", None, None, "test"))
    second = part(("X", "NV", "L2", None, "test"), ("B2", "NV", "L2", None, "test"), look=1)
    named = join_tables({"a": first, "b": second}).rows.set_index("image")
    assert named["lesion_id"].to_dict() == {"B2": "L2", "X": "L2"} and named.loc["X", "details"] == {}


def test_lesions_that_contradict_each_other_are_left_out_and_named() -> None:
    first = part(*((f"A{n}", "NV", f"H{n}", None, "train") for n in range(4)))
    second = part(*((f"B{n}", "MEL" if n < 3 else "NV", f"I{n}", None, "test") for n in range(4)), look=1)
    # B1 is near A1 and B3 near A3: three bits differ.
    for at in (1, 3):
        near = bytearray(first["content_hash"][at])
        near[0] ^= 7
        second.at[at, "content_hash"] = bytes(near)
    joined = join_tables({"a": first, "b": second}, links=[("I0", "H0"), ("I2", "H2")], leave_out=["I2", "I9"])
    # I2 is left out by hand, so H2 is contradicted by nothing.
    assert sides(joined) == {"A2": "train", "A3": "train", "B3": "train"}
    left = joined.report["left_out"]
    assert left[CONTRADICTED]["named"] == [{"lesions": ["H0", "I0"], "diagnoses": ["MEL", "NV"]}]
    assert [each["lesions"] for each in left[LOOKS_LIKE_ANOTHER]["named"]] == [["H1"], ["I1"]]
    assert left[ASKED] == {"lesions": 1, "images": 1, "named": [{"lesions": ["I2"], "diagnoses": ["MEL"]}]}
    assert joined.report["asked_not_there"] == 1
    assert joined.report["look_alike_lesions"] == 1 and joined.report["lesions"] == 0
    # B3 was in the test split, and looks like a picture of training.
    assert joined.report["moved"] == {"test to train": 1}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "links.csv"
        path.write_text(text)
        return path

    return write


def test_links_are_read_from_any_two_columns_of_lesion_ids(written: Callable[[str], Path]) -> None:
    assert read_links(written("milk10k_lesion_id,note,isic2019_lesion_id\nI1,x,H1\n")) == [("I1", "H1")]
    assert read_left_out(written("lesion_id,why\nI1,blurred\n")) == ["I1"]


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (read_links, "a,b\n1,2\n", "expected two whose names end in lesion_id"),
        (read_links, "x_lesion_id\n1\n", "expected two whose names end in lesion_id"),
        (read_links, "x_lesion_id,y_lesion_id\n1,\n", "links.csv, line 2: lacks one of the two lesion ids"),
        (read_links, "", "is empty"),
        (read_left_out, "image\nI1\n", "lesion_id is missing"),
        (read_left_out, "lesion_id\n\n ,\n", "has 2 cells"),
        (read_left_out, "lesion_id,x\n ,1\n", "line 2: has no lesion id"),
    ],
)
def test_a_broken_file_of_lesions_is_a_sentence(
    read: Callable[[Path], Sequence[object]], text: str, said: str, written: Callable[[str], Path]
) -> None:
    with pytest.raises(ExamplesError, match=said):
        read(written(text))
