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
    return tables.rows.assign(sha256="", width=None, height=None)


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
