"""Exploration: facts of the official tables, sentences that follow from the numbers, charts without inline styles."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from recognition.datasets.leakage import random_split_leakage, shared_lesions
from recognition.datasets.splits import lesion_groups, split_examples
from recognition.datasets.tables import read_tables
from recognition.taxonomy import CODES
from training.charts import DARK_TWIN, dark_twin
from training.charts.output import as_png, as_svg
from training.eda.drawing import draw
from training.eda.explore import SECTIONS, explore
from training.eda.sections import Section

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FULL = DATA / "isic2019-full-tables"
needs_full_tables = pytest.mark.skipif(not FULL.is_dir(), reason="../shared/data/isic2019-full-tables is not here")


def made_table(**changes: Any) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for position, code in enumerate(CODES):
        for number in range(40 + 40 * (code == "NV")):
            rows.append(
                {
                    "image": f"{code}{number}",
                    "diagnosis": code,
                    "age_approx": float(5 * (position + number % 8)),
                    "sex": "male" if number % 3 else "female",
                    "anatom_site_general": "head/neck" if position % 2 else "anterior torso",
                    "lesion_id": f"{code}L{number // 2}",
                    "image_type": "dermoscopic",
                    "patient_id": None,
                    "details": {},
                    "photo": None,
                    "width": 200,
                    "height": 150,
                }
            )
    return pd.DataFrame(rows).assign(**changes)


def by_key(sections: list[Section]) -> dict[str, Section]:
    return {section.key: section for section in sections}


@pytest.fixture(scope="module")
def full_table() -> pd.DataFrame:
    tables = read_tables(
        ground_truth=FULL / "ISIC_2019_Training_GroundTruth.csv",
        metadata=FULL / "ISIC_2019_Training_Metadata.csv",
    )
    return tables.rows.assign(sha256="", photo=None, width=None, height=None)


@needs_full_tables
def test_every_fact_of_the_full_tables(full_table: pd.DataFrame) -> None:
    sections = by_key(explore(full_table))

    labels = sections["class-distribution"].figures
    assert labels["images"] == 25_331
    assert labels["counts"] == {
        "MEL": 4522, "NV": 12875, "BCC": 3323, "AK": 867, "BKL": 2624, "DF": 239, "VASC": 253, "SCC": 628,
    }  # fmt: skip
    assert round(100 * labels["malignant_share"], 1) == 33.4

    age = sections["age"].figures
    assert (age["known"], age["min"], age["max"], age["in_steps_of_five"]) == (24_894, 0, 85, True)
    assert (round(age["mean"], 1), round(age["sd"], 1)) == (54.0, 18.1)

    sex = sections["sex-by-diagnosis"].figures
    assert (sex["male"], sex["female"], sex["missing"]) == (13_286, 11_661, 384)

    assert sections["site"].figures["counts"] == {
        "anterior torso": 6915, "lower extremity": 4990, "head/neck": 4587, "upper extremity": 2910,
        "posterior torso": 2787, "missing": 2631, "palms/soles": 398, "oral/genital": 59, "lateral torso": 54,
    }  # fmt: skip

    lesions = sections["images-per-lesion"].figures
    assert lesions["with_lesion_id"] == 23_247
    assert lesions["lesions"] == 11_847
    assert lesions["lesions_with_several_images"] == 5_059
    assert lesions["label_conflicts"] == 0

    gap = sections["malignant-where-missing"]
    assert round(100 * gap.figures["anatom_site_general"]["where_missing"], 1) == 7.8
    assert round(100 * gap.figures["overall"], 1) == 33.4
    assert "7.8\u00a0%" in gap.reading and "33.4\u00a0%" in gap.reading
    assert "metadata can learn" in gap.caution

    assert "Skin tone" in str(sections["untold"].rows)


@needs_full_tables
def test_what_a_random_split_leaks_on_the_full_tables_and_ours_does_not(full_table: pd.DataFrame) -> None:
    groups = lesion_groups(full_table)
    leak = random_split_leakage(groups)
    assert 0.58 < leak.low < leak.mean < leak.high < 0.63
    split = split_examples(full_table)
    ours = {str(image): str(side) for image, side in split.assignment.items()}
    assert shared_lesions(groups, ours, full_table["image"]) == {"validation": 0, "calibration": 0, "test": 0}


@needs_full_tables
def test_every_chart_of_the_full_tables_names_its_figures(full_table: pd.DataFrame) -> None:
    sections = explore(full_table)
    drawn = {section.key: draw(section) for section in sections}
    assert {key for key, figure in drawn.items() if figure is None} == {"image-sizes", "untold"}
    figure = drawn["class-distribution"]
    assert figure is not None
    svg = as_svg(figure, title="Diagnoses", description="What it says")
    assert "12,875" in svg and "50.8" in svg


def test_a_table_like_the_subset_has_every_chart() -> None:
    for section in explore(made_table()):
        figure = draw(section)
        assert (figure is None) == (section.key == "untold"), section.key
        assert section.reading.endswith(".") and section.rows
        assert all(len(row) == len(section.columns) for row in section.rows)
        json.dumps(section.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    "table",
    [
        made_table().head(1),
        made_table(
            age_approx=float("nan"), sex=None, anatom_site_general=None, lesion_id=None, width=None, height=None
        ),
        made_table(diagnosis="NV"),
    ],
    ids=["one row", "nothing but labels", "one diagnosis"],
)
def test_poor_tables_are_read_without_inventing(table: pd.DataFrame) -> None:
    sections = explore(table)
    assert len(sections) == len(SECTIONS)
    for section in sections:
        assert "nan" not in section.reading.lower().split()
        json.dumps(section.as_json(), allow_nan=False)
        figure = draw(section)
        if figure is not None:
            as_svg(figure, title=section.title, description=section.reading)


def test_readings_change_with_the_numbers() -> None:
    table = made_table()
    before = by_key(explore(table))["malignant-where-missing"]
    # Now nothing malignant has a site missing, and 160 benign images have.
    benign = table["diagnosis"].isin(["NV", "BKL", "DF"])
    table.loc[benign, "anatom_site_general"] = None
    after = by_key(explore(table))["malignant-where-missing"]
    assert "Where the site is missing, 0.0\u00a0%" in after.reading
    assert after.caution and not before.caution


def test_kinds_of_picture_are_counted_by_diagnosis_and_a_different_mix_is_called_out() -> None:
    table = made_table()
    one = by_key(explore(table))["image_type"]
    assert one.caution == "" and one.reading.startswith("Every image is dermoscopic; 33.3\u00a0% of those")
    # Imports from before there were kinds are dermoscopic; photos of the application may say nothing.
    table["image_type"] = ""
    assert by_key(explore(table))["image_type"] == one
    table.loc[table["diagnosis"] == "NV", "photo"] = "0192"
    assert by_key(explore(table))["image_type"].figures["counts"]["not stated"]["NV"] == 80
    table = made_table()
    table.loc[table["diagnosis"].isin(["BCC", "NV"]), "image_type"] = "clinical: close-up"
    two = by_key(explore(table))["image_type"]
    assert (
        two.figures["counts"]["dermoscopic"]["MEL"] == 40 and two.figures["counts"]["clinical: close-up"]["BCC"] == 40
    )
    assert two.figures["malignant_share"] == {"dermoscopic": 80 / 240, "clinical: close-up": 40 / 120}
    assert "NV is 66.7\u00a0% of the clinical: close-up images and 0.0\u00a0% of the dermoscopic images" in two.caution
    svg = as_svg(draw(two), title="Kinds", description="What it says")  # type: ignore[arg-type]  # it has rows
    assert "clinical: close-up" in svg and "can become malignant" in svg


def test_none_of_the_eight_is_counted_apart_and_breaks_nothing() -> None:
    table = made_table()
    others = table.head(30).assign(diagnosis="", lesion_id=[f"O{number}" for number in range(30)])
    before, after = by_key(explore(table)), by_key(explore(pd.concat([table, others], ignore_index=True)))
    for key in before.keys() - {"class-distribution", "image_type"}:
        assert before[key].as_json() == after[key].as_json(), key
    labels = after["class-distribution"]
    assert labels.figures["none_of_the_eight"] == 30 and labels.figures["images"] == 360
    assert labels.rows[-1] == ("", "None of the eight", "none of the eight", 30, None, 30)
    assert "30 more show none of the eight" in labels.reading and "never learned" in labels.caution
    assert after["image_type"].figures["counts"]["dermoscopic"]["none of the eight"] == 30
    for section in after.values():
        json.dumps(section.as_json(), allow_nan=False)
        figure = draw(section)
        if figure is not None:
            as_svg(figure, title=section.title, description=section.reading)


def test_rows_without_an_image_are_left_out_where_others_have_one() -> None:
    table = made_table()
    bare = table.head(25).assign(width=None, height=None)
    before, after = explore(table), explore(pd.concat([table, bare], ignore_index=True))
    assert before[1:] == after[1:] and after[0].figures == before[0].figures
    assert "25 rows have no image" in after[0].caution


def test_what_a_source_does_tell_is_not_said_to_be_untold() -> None:
    def untold(table: pd.DataFrame) -> list[str]:
        return [row[0] for row in by_key(explore(table))["untold"].rows]

    table = made_table()
    assert untold(table) == ["Skin tone", "Patient", "Camera and clinic", "How the diagnosis was made"]
    said = {"fitspatrick": 2, "diagnosis_confirm_type": ""}
    table = table.assign(details=lambda rows: rows["image"].map(lambda _image: said))
    table.loc[3, "patient_id"] = "PAT_1"
    assert untold(table) == ["Camera and clinic", "How the diagnosis was made"]


def test_sizes_that_give_the_diagnosis_away_are_called_out() -> None:
    table = made_table()
    assert by_key(explore(table))["image-sizes"].caution == ""
    table.loc[table["diagnosis"] == "MEL", ["width", "height"]] = [1024, 768]
    assert "1024 pixels for MEL" in by_key(explore(table))["image-sizes"].caution


def test_charts_keep_to_the_content_security_policy_and_to_both_themes() -> None:
    section = by_key(explore(made_table()))["site-by-diagnosis"]
    figure = draw(section)
    assert figure is not None
    svg = as_svg(figure, title="Sites <&>", description="Where they are")
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    assert not re.search(r"\sstyle=|<style|<script", svg)
    assert root.attrib["role"] == "img"
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "Sites &lt;&amp;&gt;" in svg
    dark = dark_twin(svg)
    assert not any(light in dark for light in DARK_TWIN)
    assert svg == as_svg(figure, title="Sites <&>", description="Where they are"), "the same figures make one file"
    assert as_png(figure).startswith(b"\x89PNG")
