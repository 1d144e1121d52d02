"""PAD-UFES-20: its words become ours, patients and answers are kept, and every problem has its line."""

from pathlib import Path

import pytest

from recognition.datasets.pad_ufes import read_pad_ufes
from recognition.datasets.pictures import PictureStore
from recognition.datasets.tables import PAD_UFES, ROW_COLUMNS, Tables
from recognition.inference.metadata import ANSWERS
from recognition.taxonomy import CLOSE_UP, SITES

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "phone-photos"
needs_photos = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/phone-photos is not here")

COLUMNS = (
    "patient_id", "lesion_id", "smoke", "drink", "background_father", "background_mother", "age", "pesticide", "gender",
    "skin_cancer_history", "cancer_history", "has_piped_water", "has_sewage_system", "fitspatrick", "region",
    "diameter_1", "diameter_2", "diagnostic", "itch", "grew", "hurt", "changed", "bleed", "elevation", "img_id",
    "biopsed",
)  # fmt: skip
ROW = {
    "patient_id": "PAT_46", "lesion_id": "881", "smoke": "False", "age": "55", "gender": "FEMALE", "fitspatrick": "3.0",
    "region": "NECK", "diameter_1": "6.0", "diameter_2": "5.5", "diagnostic": "BCC", "itch": "True", "grew": "UNK",
    "hurt": "False", "changed": "TRUE", "bleed": "true", "elevation": "False", "img_id": "PAT_46_881_939.png",
    "biopsed": "True",
}  # fmt: skip


def line_of(**changed: str) -> str:
    return ",".join({**ROW, **changed}.get(column, "") for column in COLUMNS)


def read(folder: Path, *lines: str, header: str = ",".join(COLUMNS)) -> Tables:
    (folder / "metadata.csv").write_text("\n".join([header, *lines, ""]))
    return read_pad_ufes(metadata=folder / "metadata.csv")


def said(tables: Tables) -> list[tuple[str, int, str]]:
    return [(problem.file, problem.line, problem.reason) for problem in tables.problems]


def test_a_row_is_a_photo_with_everything_that_is_kept(tmp_path: Path) -> None:
    tables = read(tmp_path, line_of())
    assert tables.problems == [] and tables.layout == PAD_UFES
    assert tuple(tables.rows.columns) == ROW_COLUMNS
    assert tables.rows.to_dict("records") == [
        {
            "image": "PAT_46_881_939",  # without .png: the file may be a .webp
            "diagnosis": "BCC",
            "image_type": CLOSE_UP,
            "age_approx": 55.0,
            "anatom_site_general": "head/neck",
            "lesion_id": "PAT_46_881",
            "patient_id": "PAT_46",
            "sex": "female",
            "details": {
                "region": "NECK",
                "fitspatrick": 3,
                "diameter_1": 6.0,
                "diameter_2": 5.5,
                "itch": "True",
                "grew": "UNK",
                "hurt": "False",
                "changed": "True",
                "bleed": "True",
                "elevation": "False",
                "biopsed": "True",
            },
            "line": 2,
        }
    ]
    assert tables.notes["image_types"] == {CLOSE_UP: 1} and tables.notes["licences"] == {"CC-BY": 1}
    assert tables.notes["missing_columns"] == []
    assert tables.notes["unread_columns"] == [
        "smoke", "drink", "background_father", "background_mother", "pesticide", "skin_cancer_history",
        "cancer_history", "has_piped_water", "has_sewage_system",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "diagnosis"),
    [
        ("ACK", "AK"), ("NEV", "NV"), ("SEK", "BKL"), ("BCC", "BCC"), ("MEL", "MEL"), ("SCC", "SCC"), ("BOD", "SCC"),
    ],
)  # fmt: skip
def test_its_words_mean_one_of_the_eight(tmp_path: Path, word: str, diagnosis: str) -> None:
    tables = read(tmp_path, line_of(diagnostic=word))
    assert tables.problems == [] and tables.rows["diagnosis"].tolist() == [diagnosis]


@pytest.mark.parametrize(
    ("region", "site"),
    [
        ("FACE", "head/neck"), ("SCALP", "head/neck"), ("EAR", "head/neck"), ("NOSE", "head/neck"),
        ("LIP", "head/neck"), ("NECK", "head/neck"), ("CHEST", "anterior torso"), ("ABDOMEN", "anterior torso"),
        ("BACK", "posterior torso"), ("ARM", "upper extremity"), ("FOREARM", "upper extremity"),
        ("THIGH", "lower extremity"), ("HAND", "palms/soles"), ("FOOT", "palms/soles"),
    ],
)  # fmt: skip
def test_its_regions_mean_one_of_the_sites(tmp_path: Path, region: str, site: str) -> None:
    assert site in SITES
    assert read(tmp_path, line_of(region=region)).rows["anatom_site_general"].tolist() == [site]


def test_what_is_not_stated_is_not_there(tmp_path: Path) -> None:
    empty = dict.fromkeys(("age", "gender", "fitspatrick", "region", "diameter_1", "diameter_2", "biopsed"), "")
    (row,) = read(tmp_path, line_of(**empty, **dict.fromkeys(ANSWERS, ""))).rows.to_dict("records")
    assert row["details"] == {} and row["sex"] is None and row["anatom_site_general"] is None
    assert row["age_approx"] != row["age_approx"]


def test_lesions_of_two_patients_with_one_number_are_two(tmp_path: Path) -> None:
    tables = read(tmp_path, line_of(), line_of(patient_id="PAT_47", img_id="PAT_47_881_1.png"))
    assert tables.rows["lesion_id"].tolist() == ["PAT_46_881", "PAT_47_881"]


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    tables = read(tmp_path, line_of(), line_of())
    assert tables.problems == [] and len(tables.rows) == 1
    assert tables.notes["repeated_rows"] == 1
    other = read(tmp_path, line_of(), line_of(diagnostic="MEL"))
    assert said(other) == [("metadata.csv", 3, "PAT_46_881_939 is there twice; the first time on line 2.")]


def test_every_problem_is_reported_by_line(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        line_of(diagnostic="WART"),
        line_of(img_id="../x.png"),
        line_of(img_id=""),
        line_of(img_id="b.png", patient_id=""),
        line_of(img_id="c.png", region="LEG", gender="F", age="old", fitspatrick="7", diameter_1="-1", itch="maybe"),
        "PAT_1,2",
    )
    assert said(tables) == [
        ("metadata.csv", 7, "has 2 cells; the header has 26."),
        (
            "metadata.csv",
            2,
            "PAT_46_881_939: diagnostic is 'WART'; expected ACK, BCC, BOD, MEL, NEV, SCC, SEK.",
        ),
        ("metadata.csv", 3, "'../x' is not an image name: letters, digits, _ . - and at most 100."),
        ("metadata.csv", 4, "has no image name."),
        ("metadata.csv", 5, "has no patient_id; without it a patient could be on both sides of a split."),
        (
            "metadata.csv",
            6,
            "region is 'LEG'; expected one of FACE, SCALP, EAR, NOSE, LIP, NECK, CHEST, ABDOMEN, BACK, ARM, FOREARM, "
            "THIGH, HAND, FOOT, or nothing.",
        ),
        ("metadata.csv", 6, "gender is 'F'; expected MALE or FEMALE, or nothing."),
        ("metadata.csv", 6, "fitspatrick is '7'; expected a number from 1 to 6, or nothing."),
        ("metadata.csv", 6, "diameter_1 is '-1'; expected a number from 0 to 1000, or nothing."),
        ("metadata.csv", 6, "itch is 'maybe'; expected True, False or UNK, or nothing."),
        ("metadata.csv", 6, "age is 'old'; expected a number from 0 to 120, or nothing."),
    ]


def test_another_table_is_told_by_its_columns_and_one_that_lost_some_is_read(tmp_path: Path) -> None:
    wrong = read(tmp_path, "ISIC_1,0", header="image,MEL")
    assert said(wrong) == [
        ("metadata.csv", 1, "has no column patient_id, lesion_id, img_id, diagnostic; it has image, MEL.")
    ]
    short = read(tmp_path, "PAT_1,2,PAT_1_2_3.png,NEV", header="patient_id,lesion_id,img_id,diagnostic")
    assert short.problems == [] and len(short.rows) == 1
    assert short.notes["missing_columns"] == [
        "age", "gender", "region", "fitspatrick", "diameter_1", "diameter_2", *ANSWERS, "biopsed",
    ]  # fmt: skip
    assert said(read(tmp_path)) == [("metadata.csv", 0, "has no rows.")]


def test_a_spreadsheet_with_semicolons_is_read(tmp_path: Path) -> None:
    tables = read(tmp_path, line_of().replace(",", ";"), header=";".join(COLUMNS))
    assert tables.problems == [] and tables.rows["lesion_id"].tolist() == ["PAT_46_881"]


@needs_photos
def test_the_tables_of_the_data_set_have_no_problem() -> None:
    tables = read_pad_ufes(metadata=DATA / "metadata.csv")
    rows = tables.rows
    assert tables.problems == [] and len(rows) == 424 and rows["patient_id"].nunique() == 332
    assert rows["diagnosis"].value_counts().to_dict() == {
        "BCC": 125, "NV": 110, "AK": 79, "BKL": 75, "MEL": 22, "SCC": 13,
    }  # fmt: skip
    with PictureStore(DATA / "photos.zip") as pictures:
        assert all(image in pictures for image in rows["image"])
    without = read_pad_ufes(metadata=DATA / "metadata_without_photos.csv")
    assert without.problems == [] and len(without.rows) == 1350
    assert not set(without.rows["image"]) & set(rows["image"])
