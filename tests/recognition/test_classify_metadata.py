"""`manage.py classify` with metadata, a told kind of picture and another case mix."""

import csv
import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC
from tests.factories import jpeg_bytes, made_picture

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["image", "decision", "score", "quality", "familiarity", "certainty", "prediction_set"]


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny network for HAM10000's case mix, with a table of two fields."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["case_mix"] = HAM10000.as_json()
    manifest["metadata_table"] = {
        "grew": {"True": [4.0, *[0.0] * 7], "False": [-4.0, *[0.0] * 7]},
        "sex": {"male": [0.0] * 7 + [3.0]},
    }
    for block in manifest["image_types"].values():
        block["calibration"] |= {"prior_strength": 1.0, "strengths": {"demographics": 1.0, "answers": 1.0}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    (place / "deeper").mkdir(parents=True)
    (place / "IMG 1.jpg").write_bytes(jpeg_bytes(made_picture("NV", 99)))
    (place / "deeper" / "x2.JPG").write_bytes(jpeg_bytes(made_picture("BCC", 99)))
    return place


def document(*paths: Path, **options: Any) -> dict[str, dict[str, Any]]:
    out = StringIO()
    call_command("classify", *paths, json=True, stdout=out, **options)
    return {photo["image"]: photo for photo in json.loads(out.getvalue())["photos"]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_known_changes_the_answer_and_the_picture_alone_is_told(bundle: Path, folder: Path) -> None:
    about, errors = folder / "about.csv", StringIO()
    about.write_text("image,grew,sex,hobby\nIMG 1,True,,chess\ngone,False,,\n")
    plain = document(folder, bundle=bundle)
    told = document(folder, bundle=bundle, metadata=about, stderr=errors)
    changed, same = told["IMG 1"], told["x2"]
    assert changed["probabilities"]["MEL"] > plain["IMG 1"]["probabilities"]["MEL"]
    assert changed["picture_alone"] == plain["IMG 1"]["probabilities"] == plain["IMG 1"]["picture_alone"]
    assert changed["metadata_used"] == ["grew"]
    assert same == plain["x2"] and same["metadata_used"] == [], "no row for it: exactly as without the file"
    assert "1 of 2 row(s) are of images that are not among these photos" in errors.getvalue()
    assert "these columns are not read: hobby" in errors.getvalue()
    assert "What about.csv says counted for 1 photo(s)." in errors.getvalue()


def test_unknown_answers_change_nothing(bundle: Path, folder: Path) -> None:
    about = folder / "about.csv"
    about.write_text("image,grew,sex\nIMG 1,UNK,\nx2,,\n")
    assert document(folder, bundle=bundle, metadata=about) == document(folder, bundle=bundle)


def test_a_wrong_file_is_told_at_once_and_nothing_is_written(bundle: Path, folder: Path, tmp_path: Path) -> None:
    about, output = folder / "about.csv", tmp_path / "out.csv"
    about.write_text("image,grew,sex\nIMG 1,perhaps,\nx2,True,woman\n")
    with pytest.raises(CommandError, match=r"(?s)about.csv, line 2: grew is 'perhaps'.*line 3: sex is 'woman'"):
        call_command("classify", folder, bundle=bundle, metadata=about, output=output)
    assert not output.exists()
    (folder / "deeper" / "IMG 1.png").write_bytes((folder / "IMG 1.jpg").read_bytes())
    about.write_text("image,grew\nIMG 1,True\n")
    with pytest.raises(CommandError, match=r"line 2: IMG 1 could be .*IMG 1\.\w+ or .*IMG 1\.\w+"):
        call_command("classify", folder, bundle=bundle, metadata=about, output=output)


def test_the_balanced_case_mix_changes_the_probabilities_alone(bundle: Path, folder: Path, tmp_path: Path) -> None:
    sealed, balanced = (document(folder, bundle=bundle, case_mix=mix) for mix in ("sealed", "balanced"))
    assert document(folder, bundle=bundle) == sealed
    for image, photo in sealed.items():
        other = balanced[image]
        assert photo["case_mix"] == HAM10000.as_json() and other["case_mix"] == BALANCED.as_json()
        # Bayes: the ratio of two diagnoses differs by the ratio of their shares.
        ratio = [each["probabilities"]["MEL"] / each["probabilities"]["NV"] for each in (photo, other)]
        assert ratio[0] / ratio[1] == pytest.approx(HAM10000.shares[0] / HAM10000.shares[1], rel=1e-6)
        assert photo["malignant_score"] == other["malignant_score"]
        for part in ("decision", "score"):
            assert photo["assessment"][part] == other["assessment"][part]
    output = tmp_path / "balanced.csv"
    call_command("classify", folder, bundle=bundle, case_mix="balanced", output=output)
    for row in rows_of(output):
        assert float(row["MEL"]) == pytest.approx(balanced[row["image"]]["probabilities"]["MEL"], abs=1e-6)


def test_the_kind_is_told_and_written(bundle: Path, folder: Path, tmp_path: Path) -> None:
    told = document(folder, bundle=bundle, image_type="dermoscopic")
    assert {(photo["image_type"], photo["image_type_source"]) for photo in told.values()} == {(DERMOSCOPIC, "told")}
    # The tiny network learned dermoscopic pictures only.
    second = tmp_path / "assessments.csv"
    clinical = StringIO()
    call_command(
        "classify", folder, bundle=bundle, image_type="clinical", json=True, assessments=second, stdout=clinical
    )
    for photo in json.loads(clinical.getvalue())["photos"]:
        assert photo["image_type"] == CLOSE_UP and photo["assessment"]["decision"] == "not_assessed"
    rows = rows_of(second)
    assert [row["image_type"] for row in rows] == [CLOSE_UP] * 2
    assert [row["familiarity"] for row in rows] == ["other_image_type"] * 2
    assert list(rows[0]) == [*COLUMNS, "image_type"]


def test_the_default_classifier_takes_all_of_it(folder: Path, tmp_path: Path) -> None:
    about = tmp_path / "about.csv"
    about.write_text("image,age_approx,anatom_site_general,bleed\nIMG 1,71,head/neck,True\nx2,12,,UNK\n")
    default = ROOT / "bundles" / "default"
    for mix in ("sealed", "balanced"):
        for kind in ("auto", "dermoscopic", "clinical"):
            found = document(folder, bundle=default, metadata=about, image_type=kind, case_mix=mix)
            for photo in found.values():
                assert list(photo["probabilities"]) == list(photo["picture_alone"]) == list(CODES)
                assert sum(photo["probabilities"].values()) == pytest.approx(1.0)
