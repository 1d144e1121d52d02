"""MILK10k: eleven classes become eight or none, the supplement tells AK from SCC, every problem has its line."""

from pathlib import Path

import pytest

from recognition.datasets.milk10k import read_milk10k
from recognition.datasets.pictures import PictureStore
from recognition.datasets.tables import MILK10K, ROW_COLUMNS, Tables
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC, SITES

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "milk10k"
needs_milk10k = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/milk10k is not here")

CLASSES = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
TRUTH = f"lesion_id,{','.join(CLASSES)}"
METADATA = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,sex,skin_tone_class,site,"
    "MONET_hair"
)
SUPPLEMENT = "isic_id,diagnosis_full,diagnosis_confirm_type,invasion_thickness_interval"


def truth_row(lesion: str, name: str) -> str:
    return ",".join([lesion, *("1.0" if name == each else "0.0" for each in CLASSES)])


def pictures_of(lesion: str, number: int, **changed: str) -> list[str]:
    """The two rows of the metadata; `changed` concerns the second."""
    same = {"age": "70", "sex": "male", "tone": "2", "site": "trunk"}
    rows = []
    for offset, kind, manipulation, said in (
        (0, CLOSE_UP, "altered", same),
        (1, DERMOSCOPIC, "instrument only", {**same, **changed}),
    ):
        rows.append(
            f"{lesion},{said.get('kind', kind)},ISIC_{number + offset},MILK study team,CC-BY-NC,"
            f"{said.get('manipulation', manipulation)},{said['age']},{said['sex']},{said['tone']},{said['site']},0.1"
        )
    return rows


def supplement_rows(number: int, full: str) -> list[str]:
    return [f'ISIC_{number},"{full}",histopathology,', f'ISIC_{number + 1},"{full}",histopathology,']


def read(folder: Path, truth: list[str], metadata: list[str], supplement: list[str]) -> Tables:
    for name, lines in (("truth", truth), ("metadata", metadata), ("supplement", supplement)):
        (folder / f"{name}.csv").write_text("\n".join([*lines, ""]))
    return read_milk10k(
        ground_truth=folder / "truth.csv", metadata=folder / "metadata.csv", supplement=folder / "supplement.csv"
    )


def read_lesion(folder: Path, name: str, full: str, **changed: str) -> Tables:
    return read(
        folder,
        [TRUTH, truth_row("IL_1", name)],
        [METADATA, *pictures_of("IL_1", 10, **changed)],
        [SUPPLEMENT, *supplement_rows(10, full)],
    )


def said(tables: Tables) -> list[tuple[str, int, str]]:
    return [(problem.file, problem.line, problem.reason) for problem in tables.problems]


@pytest.mark.parametrize(
    ("name", "full", "diagnosis"),
    [
        ("AKIEC", "Solar or actinic keratosis", "AK"),
        ("AKIEC", "Squamous cell carcinoma in situ, Bowens disease", "SCC"),
        ("AKIEC", "Squamous cell carcinoma in situ", "SCC"),
        ("SCCKA", "Keratoacanthoma", "SCC"),
        ("SCCKA", "Squamous cell carcinoma, Invasive", "SCC"),
        ("BCC", "Basal cell carcinoma", "BCC"),
        ("BKL", "Solar lentigo", "BKL"),
        ("DF", "Dermatofibroma", "DF"),
        ("MEL", "Melanoma metastasis", "MEL"),
        ("NV", "Blue nevus", "NV"),
        ("VASC", "Hemangioma", "VASC"),
        ("BEN_OTH", "Mastocytosis", ""),
        ("INF", "Molluscum", ""),
        ("MAL_OTH", "Collision - At least one malignant proliferation", ""),
    ],
)
def test_eleven_classes_become_one_of_the_eight_or_none(tmp_path: Path, name: str, full: str, diagnosis: str) -> None:
    tables = read_lesion(tmp_path, name, full)
    assert said(tables) == [] and tables.layout == MILK10K
    assert tables.rows["diagnosis"].tolist() == [diagnosis, diagnosis]
    assert tables.notes["none_of_the_eight"] == (0 if diagnosis else 2)


def test_a_row_is_a_picture_with_everything_the_source_says(tmp_path: Path) -> None:
    tables = read_lesion(tmp_path, "NV", "Nevus, Acral")
    assert tuple(tables.rows.columns) == ROW_COLUMNS
    first, second = tables.rows.to_dict("records")
    assert first == {
        "image": "ISIC_10",
        "diagnosis": "NV",
        "image_type": CLOSE_UP,
        "age_approx": 70.0,
        "anatom_site_general": None,  # a torso, but its side is not known
        "lesion_id": "IL_1",
        "patient_id": None,
        "sex": "male",
        "details": {
            "site": "trunk",
            "skin_tone_class": 2,
            "image_manipulation": "altered",
            "diagnosis_full": "Nevus, Acral",
            "diagnosis_confirm_type": "histopathology",
        },
        "line": 2,
    }
    assert (second["image"], second["image_type"], second["lesion_id"]) == ("ISIC_11", DERMOSCOPIC, "IL_1")
    assert tables.notes == {
        "image_types": {CLOSE_UP: 1, DERMOSCOPIC: 1},
        "licences": {"CC-BY-NC": 2},
        "image_manipulation": {"altered": 1, "instrument only": 1},
        "unread_columns": ["attribution", "MONET_hair", "invasion_thickness_interval"],
        "missing_columns": [],
        "metadata_rows_without_label": 0,
        "none_of_the_eight": 0,
        "torso_of_unknown_side": 2,
        "absent_diagnoses": ["MEL", "BCC", "AK", "BKL", "DF", "VASC", "SCC"],
    }


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("age", "65", "age_approx is '65' and '70'"),
        ("sex", "female", "sex is 'female' and 'male'"),
        ("site", "hand", "site is 'hand' and 'trunk'"),
        ("tone", "", "skin_tone_class is '' and '2'"),
    ],
)
def test_two_pictures_of_a_lesion_that_disagree_are_a_problem(
    tmp_path: Path, column: str, value: str, shown: str
) -> None:
    tables = read_lesion(tmp_path, "NV", "Nevus", **{column: value})
    assert said(tables) == [
        ("metadata.csv", 3, f"ISIC_11 and ISIC_10 (line 2) show the same lesion IL_1, and {shown}.")
    ]


def test_a_diagnosis_that_differs_between_the_two_pictures_is_a_problem(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        [TRUTH, truth_row("IL_1", "AKIEC")],
        [METADATA, *pictures_of("IL_1", 10)],
        [SUPPLEMENT, "ISIC_10,Solar or actinic keratosis,,", "ISIC_11,Squamous cell carcinoma in situ,,"],
    )
    ((file, line, reason),) = said(tables)
    assert (file, line) == ("metadata.csv", 3) and "diagnosis_full is 'Squamous cell carcinoma in situ'" in reason


def test_other_kinds_of_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    overview = read_lesion(tmp_path, "NV", "Nevus", kind="clinical: overview")
    assert overview.problems == [] and overview.rows["image"].tolist() == ["ISIC_10"]
    assert overview.notes["left_out"] == {"image_type: clinical: overview": 1}
    synthetic = read_lesion(tmp_path, "NV", "Nevus", manipulation="synthetic")
    assert synthetic.notes["left_out"] == {"image_manipulation: synthetic": 1}


def test_columns_that_have_vanished_are_named(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        [TRUTH, truth_row("IL_1", "NV")],
        ["lesion_id,image_type,isic_id", f"IL_1,{DERMOSCOPIC},ISIC_1"],
        ["isic_id,diagnosis_full", "ISIC_1,Nevus"],
    )
    assert tables.problems == [] and len(tables.rows) == 1
    assert tables.notes["missing_columns"] == [
        "copyright_license", "image_manipulation", "age_approx", "sex", "skin_tone_class", "site",
        "diagnosis_confirm_type",
    ]  # fmt: skip


def test_every_problem_of_the_three_files_is_reported_at_once(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        [
            TRUTH,
            truth_row("IL_1", "AKIEC"),
            truth_row("IL_2", "none"),
            truth_row("IL_1", "NV"),
            truth_row("", "NV"),
            truth_row("IL_3", "NV"),
            "IL_4,1.0",
            truth_row("IL_5", "NV").replace("1.0", "yes"),
            truth_row("IL_6", "NV"),
        ],
        [
            METADATA,
            *pictures_of("IL_1", 10),
            f"IL_3,{DERMOSCOPIC},ISIC_30,,CC-BY-NC,,old,woman,6,leg,",
            f",{DERMOSCOPIC},ISIC_31,,CC-BY-NC,,,,,,",
            f"IL_3,{DERMOSCOPIC},ISIC_30,,CC-BY-NC,,old,woman,6,leg,",
        ],
        [SUPPLEMENT, "ISIC_10,Wart,,", "ISIC_11,Wart,,", "../x,Nevus,,", "ISIC_31,Nevus,,"],
    )
    sites = "head_neck_face, trunk, upper_extremity, lower_extremity, hand, foot, genital"
    akiec = "expected solar or actinic keratosis, or squamous cell carcinoma in situ."
    assert said(tables) == [
        ("truth.csv", 7, "has 2 cells; the header has 12."),
        ("truth.csv", 3, "IL_2 needs exactly one diagnosis set to 1; it has none."),
        ("truth.csv", 4, "IL_1 is there twice; the first time on line 2."),
        ("truth.csv", 5, "has no lesion_id."),
        ("truth.csv", 8, "IL_5: NV is 'yes'; expected 0 or 1."),
        ("metadata.csv", 5, "ISIC_31 has no lesion_id."),
        ("metadata.csv", 6, "ISIC_30 is there twice; the first time on line 4."),
        ("metadata.csv", 4, f"site is 'leg'; expected one of {sites}, or nothing."),
        ("metadata.csv", 4, "skin_tone_class is '6'; expected a number from 0 to 5, or nothing."),
        ("metadata.csv", 4, "age_approx is 'old'; expected a number from 0 to 120, or nothing."),
        ("metadata.csv", 4, "sex is 'woman'; expected male or female, or nothing."),
        ("metadata.csv", 0, "has no row for IL_6 (truth.csv, line 9)."),
        ("supplement.csv", 4, "'../x' is not an image name: letters, digits, _ . - and at most 100."),
        ("supplement.csv", 0, "has no row for ISIC_30 (metadata.csv, line 4)."),
        ("supplement.csv", 2, f"ISIC_10 is of the class AKIEC, and diagnosis_full is 'Wart'; {akiec}"),
        ("supplement.csv", 3, f"ISIC_11 is of the class AKIEC, and diagnosis_full is 'Wart'; {akiec}"),
    ]


def test_files_in_the_wrong_place_are_told_by_their_columns(tmp_path: Path) -> None:
    truth = [TRUTH, truth_row("IL_1", "NV")]
    metadata, supplement = [METADATA, *pictures_of("IL_1", 10)], [SUPPLEMENT, *supplement_rows(10, "Nevus")]
    swapped = said(read(tmp_path, truth, supplement, metadata))
    assert [(file, line) for file, line, _reason in swapped] == [("metadata.csv", 1), ("supplement.csv", 1)]
    assert "has no column lesion_id, image_type; it has isic_id, diagnosis_full" in swapped[0][2]
    assert "has no column diagnosis_full; it has lesion_id, image_type" in swapped[1][2]
    ((file, line, reason),) = said(read(tmp_path, metadata, metadata, supplement))
    assert (file, line) == ("truth.csv", 1) and "expected exactly lesion_id, AKIEC" in reason


@pytest.mark.parametrize("place", ["truth", "metadata", "supplement"])
@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        (b"", 0, "is empty."),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), 0, "is not text in UTF-8"),
        (None, 0, "cannot be read: No such file or directory."),
        (b'isic_id,"diagnosis', 1, "is not a proper CSV file"),
    ],
)
def test_a_broken_file_is_told_by_name(
    tmp_path: Path, place: str, content: bytes | None, line: int, expected: str
) -> None:
    files = {
        "truth": [TRUTH, truth_row("IL_1", "NV")],
        "metadata": [METADATA, *pictures_of("IL_1", 10)],
        "supplement": [SUPPLEMENT, *supplement_rows(10, "Nevus")],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    path = tmp_path / f"{place}.csv"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    tables = read_milk10k(
        ground_truth=tmp_path / "truth.csv", metadata=tmp_path / "metadata.csv", supplement=tmp_path / "supplement.csv"
    )
    ((file, found, reason),) = said(tables)
    assert (file, found) == (f"{place}.csv", line) and expected in reason


@needs_milk10k
def test_the_official_tables_have_the_counts_of_the_data_readme() -> None:
    tables = read_milk10k(
        ground_truth=DATA / "MILK10k_Training_GroundTruth.csv",
        metadata=DATA / "MILK10k_Training_Metadata.csv",
        supplement=DATA / "MILK10k_Training_Supplement.csv",
    )
    rows = tables.rows
    assert tables.problems == [] and len(rows) == 8208
    assert rows["image_type"].value_counts().to_dict() == {CLOSE_UP: 4104, DERMOSCOPIC: 4104}
    assert rows.groupby("diagnosis")["lesion_id"].nunique().to_dict() == {
        "BCC": 2066, "SCC": 541, "NV": 519, "BKL": 422, "MEL": 317, "AK": 99, "DF": 37, "VASC": 31, "": 72,
    }  # fmt: skip
    assert set(rows["anatom_site_general"].dropna()) < set(SITES)
    assert tables.notes["torso_of_unknown_side"] == 3056
    with PictureStore(DATA / "MILK10k_Training_Input.zip") as pictures:
        assert all(image in pictures for image in rows["image"])
