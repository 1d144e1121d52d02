"""The tables of both layouts: every problem is reported by file and line, and wrong files are rejected."""

from pathlib import Path

import pytest

from recognition.datasets.csv_files import read_header
from recognition.datasets.tables import ISIC_CLI, Tables, read_tables
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FULL = DATA / "isic2019-full-tables"
CASES = DATA / "cases" / "isic"
needs_full_tables = pytest.mark.skipif(not FULL.is_dir(), reason="../shared/data/isic2019-full-tables is not here")
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/data/cases/isic is not here")

HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
METADATA_HEADER = "image,age_approx,anatom_site_general,lesion_id,sex"
NV = "0,1,0,0,0,0,0,0,0"


def read(folder: Path, truth: str, metadata: str | None = None, **options: bool) -> Tables:
    (folder / "truth.csv").write_text(truth)
    if metadata is not None:
        (folder / "metadata.csv").write_text(metadata)
    return read_tables(
        ground_truth=folder / "truth.csv",
        metadata=folder / "metadata.csv" if metadata is not None else None,
        **options,
    )


def said(tables: Tables) -> list[tuple[str, int, str]]:
    return [(problem.file, problem.line, problem.reason) for problem in tables.problems]


def test_labels_and_metadata_come_together_and_gaps_stay_gaps(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        f"\ufeff{HEADER}\nISIC_2,{NV}\nISIC_1,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n",
        f"{METADATA_HEADER}\nISIC_1,55,anterior torso,L1,female\nISIC_2,,,,\n",
    )
    assert tables.problems == []
    rows = tables.rows.to_dict("records")
    assert [row["image"] for row in rows] == ["ISIC_1", "ISIC_2"]
    assert [row["diagnosis"] for row in rows] == ["DF", "NV"]
    assert rows[0]["age_approx"] == 55 and rows[0]["lesion_id"] == "L1" and rows[0]["sex"] == "female"
    assert rows[1]["lesion_id"] is None and rows[1]["sex"] is None and rows[1]["age_approx"] != rows[1]["age_approx"]


def test_every_problem_is_reported_by_line(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "\n".join(
            [
                HEADER,
                f"ISIC_1,{NV}",
                "",  # a blank line is not a row, but it counts as a line
                "ISIC_2,1,1,0,0,0,0,0,0,0",
                "ISIC_3,0,0,0,0,0,0,0,0,0",
                "ISIC_4,0,0,0,0,0,0,0,0,1",
                "ISIC_5,0,yes,0,0,0,0,0,0,0",
                "ISIC_6,0,2,0,0,0,0,0,0,0",
                "ISIC_7,0,1",
                f"ISIC_1,{NV}",
                f"../ISIC_8,{NV}",
                f",{NV}",
            ]
        ),
    )
    # Short rows are found while the file is read, everything else row by row after it.
    assert said(tables) == [
        ("truth.csv", 9, "has 3 cells; the header has 10."),
        ("truth.csv", 4, "ISIC_2 needs exactly one diagnosis set to 1; it has MEL and NV."),
        ("truth.csv", 5, "ISIC_3 needs exactly one diagnosis set to 1; it has none."),
        ("truth.csv", 6, "ISIC_4 is labelled UNK; only the eight diagnoses can be learned."),
        ("truth.csv", 7, "ISIC_5: NV is 'yes'; expected 0 or 1."),
        ("truth.csv", 8, "ISIC_6: NV is '2'; expected 0 or 1."),
        ("truth.csv", 10, "ISIC_1 is there twice; the first time on line 2."),
        ("truth.csv", 11, "'../ISIC_8' is not an image name: letters, digits, _ . - and at most 100."),
        ("truth.csv", 12, "has no image name."),
    ]


def test_problems_of_both_files_are_reported_at_once(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        f"{HEADER}\nISIC_1,{NV}\nISIC_2,0,0,0,0,0,0,0,0,1\nISIC_3,{NV}\n",
        f"{METADATA_HEADER}\nISIC_1,old,torso,L1,woman\nISIC_2,121,,,\n",
    )
    assert said(tables) == [
        ("truth.csv", 3, "ISIC_2 is labelled UNK; only the eight diagnoses can be learned."),
        ("metadata.csv", 2, "age_approx is 'old'; expected a number from 0 to 120, or nothing."),
        ("metadata.csv", 2, "anatom_site_general is 'torso'; expected an ISIC site, or nothing."),
        ("metadata.csv", 2, "sex is 'woman'; expected male or female, or nothing."),
        ("metadata.csv", 3, "age_approx is '121'; expected a number from 0 to 120, or nothing."),
        ("metadata.csv", 0, "has no row for ISIC_3 (truth.csv, line 4)."),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("image,AK,BCC,BKL,DF,MEL,NV,SCC,VASC,UNK", "expected exactly image, MEL, NV"),  # the alphabet's order
        (HEADER.replace(",SCC", ""), "missing: SCC"),
        (HEADER + ",age", "not expected: age"),
    ],
)
def test_columns_are_exact_order_included(tmp_path: Path, header: str, expected: str) -> None:
    tables = read(tmp_path, f"{header}\nISIC_1,{NV}\n")
    assert [problem.line for problem in tables.problems if expected in problem.reason] == [1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty."),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "is not text in UTF-8"),
        (f'{HEADER}\nISIC_1,"{NV}\n'.encode(), "is not a proper CSV file"),
        (f"{HEADER}\n".encode(), "has no rows."),
    ],
)
def test_a_wrong_file_is_told_by_name(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "photo.csv").write_bytes(content)
    tables = read_tables(ground_truth=tmp_path / "photo.csv")
    assert tables.problems[0].file == "photo.csv"
    assert expected in tables.problems[0].reason


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    tables = read_tables(ground_truth=tmp_path / "nowhere.csv")
    assert said(tables) == [("nowhere.csv", 0, "cannot be read: No such file or directory.")]


def test_downsampled_names_mean_the_isic_image(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        f"{HEADER}\nISIC_1_downsampled,{NV}\nISIC_2,{NV}\n",
        f"{METADATA_HEADER}\nISIC_1,50,,L1,\nISIC_2_downsampled,60,,L2,\n",
    )
    assert tables.problems == []
    assert tables.rows["lesion_id"].tolist() == ["L1", "L2"]
    assert tables.notes["downsampled_names"] == 1
    both = read(tmp_path, f"{HEADER}\nISIC_1_downsampled,{NV}\nISIC_1,{NV}\n")
    assert said(both) == [("truth.csv", 3, "ISIC_1 is there twice; the first time on line 2.")]


def test_unk_rows_are_left_out_and_counted_when_asked(tmp_path: Path) -> None:
    unknown = "0,0,0,0,0,0,0,0,1"
    text = f"{HEADER}\nISIC_1,{NV}\nISIC_2,{unknown}\nISIC_3,{unknown}\n"
    metadata = f"{METADATA_HEADER}\nISIC_1,55,,,\nISIC_2,60,,,\nISIC_3,,,,\n"
    assert [line for _file, line, _reason in said(read(tmp_path, text, metadata))] == [3, 4]
    left = read(tmp_path, text, metadata, leave_out_unmapped=True)
    assert left.problems == [] and left.rows["image"].tolist() == ["ISIC_1"]
    assert left.notes["left_out"] == {"UNK": 2}
    assert left.notes["metadata_rows_without_label"] == 0
    none = read(tmp_path, f"{HEADER}\nISIC_2,{unknown}\n", leave_out_unmapped=True)
    assert said(none) == [("truth.csv", 0, "has no row with one of the eight diagnoses.")]
    twice = read(tmp_path, f"{HEADER}\nISIC_1,{NV}\nISIC_1,{unknown}\n", leave_out_unmapped=True)
    assert said(twice) == [("truth.csv", 3, "ISIC_1 is there twice; the first time on line 2.")]


def test_the_official_test_table_is_a_test_set(tmp_path: Path) -> None:
    text = f"{HEADER},score_weight,validation_weight\nISIC_1,{NV},1.0,0.0\n"
    tables = read(tmp_path, text, "image,age_approx,anatom_site_general,sex\nISIC_1,55,lower extremity,male\n")
    assert tables.problems == [] and tables.notes["test_set"] is True
    assert tables.notes["unread_columns"] == ["score_weight", "validation_weight"]
    (row,) = tables.rows.to_dict("records")
    assert (row["diagnosis"], row["age_approx"], row["lesion_id"], row["image_type"]) == ("NV", 55, None, DERMOSCOPIC)
    with_lesions = read(tmp_path, text, f"{METADATA_HEADER}\nISIC_1,55,,L1,\n")
    assert with_lesions.problems == [] and with_lesions.rows["lesion_id"].tolist() == ["L1"]
    assert "test_set" not in read(tmp_path, f"{HEADER}\nISIC_1,{NV}\n").notes


def test_a_spreadsheet_with_semicolons_is_read(tmp_path: Path) -> None:
    truth = f"\ufeff{HEADER}\nISIC_1,{NV}\n".replace(",", ";")
    tables = read(tmp_path, truth, f"{METADATA_HEADER}\nISIC_1,55,,L1,\n".replace(",", ";"))
    assert tables.problems == [] and tables.rows["lesion_id"].tolist() == ["L1"]
    assert read_header(tmp_path / "truth.csv") == tuple(HEADER.split(","))


def test_a_column_that_is_there_twice_is_a_problem(tmp_path: Path) -> None:
    tables = read(tmp_path, "isic_id,diagnosis,sex,sex\nISIC_1,nevus,male,female\n")
    assert said(tables) == [("truth.csv", 1, "has the column 'sex' 2 times.")]


def test_a_zero_byte_is_told_by_its_line(tmp_path: Path) -> None:
    tables = read(tmp_path, f"{HEADER}\nISIC_1,{NV}\n", f"{METADATA_HEADER}\nISIC_1,,,L\0,\n")
    assert said(tables)[0] == ("metadata.csv", 2, "has a zero byte, which no text has.")


def test_a_quote_that_never_ends_is_told_by_its_line(tmp_path: Path) -> None:
    tables = read(tmp_path, f'{HEADER}\nISIC_1,{NV}\nISIC_2,"{NV}\nISIC_3,{NV}\n')
    assert said(tables) == [("truth.csv", 3, "is not a proper CSV file: unexpected end of data.")]


def test_diagnoses_that_no_row_has_are_named(tmp_path: Path) -> None:
    tables = read(tmp_path, f"{HEADER}\nISIC_1,{NV}\n")
    assert tables.notes["absent_diagnoses"] == [code for code in CODES if code != "NV"]


ISIC_CLI_HEADER = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,"
    "diagnosis_4,image_type,lesion_id,sex"
)


def isic_cli_row(image: str, second: str, third: str = "", fourth: str = "") -> str:
    quoted = f'"{third}"'
    return f"{image},ViDIR,CC-BY-NC,45,lower extremity,x,{second},{quoted},{fourth},dermoscopic,IL_{image},male"


@pytest.mark.parametrize(
    ("second", "third", "code"),
    [
        ("Malignant melanocytic proliferations (Melanoma)", "Melanoma in situ", "MEL"),
        ("Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS", "MEL"),
        ("Benign melanocytic proliferations", "Nevus", "NV"),
        ("Malignant adnexal epithelial proliferations - Follicular", "Basal cell carcinoma", "BCC"),
        ("Indeterminate epidermal proliferations", "Solar or actinic keratosis", "AK"),
        ("Benign epidermal proliferations", "Solar lentigo", "BKL"),
        ("Benign epidermal proliferations", "Seborrheic keratosis", "BKL"),
        ("Benign soft tissue proliferations - Fibro-histiocytic", "Dermatofibroma", "DF"),
        ("Benign soft tissue proliferations - Vascular", "", "VASC"),
        ("Benign soft tissue proliferations - Vascular", "Hemangioma", "VASC"),
        ("Malignant epidermal proliferations", "Squamous cell carcinoma in situ", "SCC"),
    ],
)
def test_isic_cli_words_mean_one_of_the_eight(tmp_path: Path, second: str, third: str, code: str) -> None:
    tables = read(tmp_path, f"{ISIC_CLI_HEADER}\n{isic_cli_row('ISIC_1', second, third)}\n")
    assert tables.problems == [] and tables.layout == ISIC_CLI
    row = tables.rows.to_dict("records")[0]
    assert (row["diagnosis"], row["age_approx"], row["sex"], row["lesion_id"]) == (code, 45, "male", "IL_ISIC_1")


def test_isic_cli_rows_outside_the_eight_are_refused_by_row_or_left_out_when_asked(tmp_path: Path) -> None:
    text = "\n".join(
        [
            ISIC_CLI_HEADER,
            isic_cli_row("ISIC_1", "Benign melanocytic proliferations", "Nevus"),
            isic_cli_row("ISIC_2", "Benign soft tissue proliferations - Fibro-histiocytic", "Scar"),
            isic_cli_row("ISIC_3", "Malignant melanocytic proliferations (Melanoma)", "Melanoma metastasis"),
            isic_cli_row("ISIC_4", ""),
        ]
    )
    tables = read(tmp_path, text)
    assert [line for _file, line, _reason in said(tables)] == [3, 4, 5]
    assert all("none of the eight diagnoses" in reason for _file, _line, reason in said(tables))
    left = read(tmp_path, text, leave_out_unmapped=True)
    assert left.problems == []
    assert left.rows["image"].tolist() == ["ISIC_1"]
    assert sum(left.notes["left_out"].values()) == 3


def test_isic_cli_of_former_years_has_one_column(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "isic_id,attribution,copyright_license,diagnosis\nISIC_1,a,CC-0,seborrheic keratosis\nISIC_2,a,CC-0,wart\n",
    )
    assert said(tables) == [("truth.csv", 3, "ISIC_2 is 'wart', none of the eight diagnoses.")]
    assert tables.rows["diagnosis"].tolist() == ["BKL"]


TODAY = (
    "isic_id,attribution,copyright_license,acquisition_day,age_approx,anatom_site_1,anatom_site_2,anatom_site_3,"
    "anatom_site_special,diagnosis_1,diagnosis_2,diagnosis_3,fitzpatrick_skin_type,image_manipulation,image_type,"
    "lesion_id,patient_id,sex"
)


def today_row(
    image: str, *, site: str = "Trunk,Posterior trunk,", manipulation: str = "", kind: str = DERMOSCOPIC
) -> str:
    diagnosis = "Benign,Benign melanocytic proliferations,Nevus"
    return f"{image},ViDIR,CC-BY,1,45,{site},,{diagnosis},II,{manipulation},{kind},IL_{image},IP_1,male"


def test_isic_cli_tables_of_today_have_patients_and_sites_in_levels(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "\n".join([TODAY, today_row("ISIC_1", manipulation="instrument only"), today_row("ISIC_2", site="Trunk,,")]),
    )
    assert tables.problems == []
    first, second = tables.rows.to_dict("records")
    assert (first["anatom_site_general"], first["patient_id"], first["lesion_id"]) == (
        "posterior torso", "IP_1", "IL_ISIC_1",
    )  # fmt: skip
    assert first["details"] == {"fitzpatrick_skin_type": "II", "image_manipulation": "instrument only"}
    assert second["anatom_site_general"] is None and second["details"] == {"fitzpatrick_skin_type": "II"}
    assert tables.notes["unread_columns"] == ["attribution", "acquisition_day"]
    assert tables.notes["missing_columns"] == []
    assert tables.notes["image_manipulation"] == {"instrument only": 1, "not stated": 1}


def test_isic_cli_pictures_of_other_kinds_are_left_out_and_counted(tmp_path: Path) -> None:
    kinds = ["RCM: tile", "TBP tile: close-up", "clinical: overview", "TBP tile: close-up", ""]
    tables = read(
        tmp_path,
        "\n".join(
            [
                TODAY,
                today_row("ISIC_1", kind=CLOSE_UP),
                today_row("ISIC_2", manipulation="altered"),
                today_row("ISIC_3", manipulation="synthetic"),
                today_row("ISIC_4", manipulation="augmented"),
                *(today_row(f"ISIC_{number}", kind=kind) for number, kind in enumerate(kinds, start=5)),
            ]
        ),
    )
    assert tables.problems == []
    assert tables.rows[["image", "image_type"]].values.tolist() == [["ISIC_1", CLOSE_UP], ["ISIC_2", DERMOSCOPIC]]
    assert tables.notes["image_types"] == {CLOSE_UP: 1, DERMOSCOPIC: 1}
    assert tables.notes["left_out"] == {
        "image_type: TBP tile: close-up": 2,
        "image_manipulation: synthetic": 1,
        "image_manipulation: augmented": 1,
        "image_type: RCM: tile": 1,
        "image_type: clinical: overview": 1,
        "image_type: not stated": 1,
    }
    none = read(tmp_path, "\n".join([TODAY, today_row("ISIC_1", kind="RCM: tile")]))
    assert said(none) == [
        ("truth.csv", 0, "has no row with one of the eight diagnoses and a kind of picture that is learned.")
    ]


def test_isic_cli_columns_that_have_vanished_are_named(tmp_path: Path) -> None:
    tables = read(tmp_path, "isic_id,diagnosis\nISIC_1,nevus\n")
    assert tables.problems == []
    assert tables.notes["missing_columns"] == [
        "age_approx", "copyright_license", "image_type", "lesion_id", "patient_id", "sex", "anatom_site_1",
    ]  # fmt: skip


def test_isic_cli_sites_that_nobody_knows_are_problems(tmp_path: Path) -> None:
    tables = read(tmp_path, "\n".join([TODAY, today_row("ISIC_1", site="Tail,Tip,")]))
    assert said(tables) == [
        ("truth.csv", 2, "anatom_site_1 is 'Tail: Tip'; expected a site of the ISIC archive, or nothing.")
    ]


@needs_cases
@pytest.mark.parametrize("name", ["cli_2025", "cli_2026", "cli_patients", "gt_semicolon", "gt_test_official"])
def test_tables_that_people_had_trouble_with(name: str) -> None:
    official = name.startswith("gt")
    tables = read_tables(ground_truth=CASES / f"{name}.csv", metadata=CASES / "md.csv" if official else None)
    assert tables.problems == [] and len(tables.rows) == 96
    assert tables.rows["anatom_site_general"].value_counts().to_dict() == {
        "head/neck": 24, "lower extremity": 22, "upper extremity": 20, "posterior torso": 15, "anterior torso": 9,
    }  # fmt: skip
    if not official:
        assert tables.rows["patient_id"].nunique() == (8 if name == "cli_patients" else 96)


@needs_full_tables
def test_the_full_official_tables_have_no_problem() -> None:
    tables = read_tables(
        ground_truth=FULL / "ISIC_2019_Training_GroundTruth.csv",
        metadata=FULL / "ISIC_2019_Training_Metadata.csv",
    )
    assert tables.problems == []
    assert len(tables.rows) == 25_331
    assert set(tables.rows["diagnosis"]) == set(CODES)
    assert tables.notes["downsampled_names"] == tables.rows["image"].str.endswith("_downsampled").sum() > 0


@needs_full_tables
def test_the_official_test_metadata_is_no_training_metadata() -> None:
    tables = read_tables(
        ground_truth=FULL / "ISIC_2019_Training_GroundTruth.csv", metadata=FULL / "ISIC_2019_Test_Metadata.csv"
    )
    assert said(tables)[0][:2] == ("ISIC_2019_Test_Metadata.csv", 1)
    assert "missing: lesion_id" in said(tables)[0][2]
