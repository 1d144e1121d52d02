"""`manage.py classify`: the ISIC submission format, whatever is in the folder."""

import csv
import json
import os
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from diagnoses.classifiers.models import Classifier
from recognition.classify import image_names
from recognition.taxonomy import CODES
from tests.factories import jpeg_bytes, made_picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    place.mkdir()
    for number, code in enumerate(CODES):
        (place / f"ISIC_{number:07d}.jpg").write_bytes(jpeg_bytes(made_picture(code, 99)))
    return place


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table_in_the_order_of_the_files(
    tiny_classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "predictions.csv"
    call_command("classify", folder, output=output)
    rows = rows_of(output)
    assert list(rows[0]) == ["image", *CODES, "UNK"]
    assert [row["image"] for row in rows] == [f"ISIC_{number:07d}" for number in range(len(CODES))]
    for row in rows:
        assert sum(float(row[code]) for code in CODES) == pytest.approx(1.0, abs=1e-4)
        assert float(row["UNK"]) == 0.0


def test_columns_carry_the_right_names(tiny_classifier: Classifier, tmp_path: Path) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for code in CODES:
        for seed in range(100, 106):
            (place / f"{code}_{seed}.jpg").write_bytes(jpeg_bytes(made_picture(code, seed)))
    call_command("classify", place, output=tmp_path / "many.csv")
    rows = rows_of(tmp_path / "many.csv")
    right = sum(row["image"].startswith(max(CODES, key=lambda code: float(row[code]))) for row in rows)
    # Decoded in another order, the answers would be right one time in eight: 6 of 48, standard deviation 2.3.
    assert right >= 16


def test_what_else_is_said_goes_into_a_second_file(tiny_classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    (folder / "black.jpg").write_bytes(jpeg_bytes(Image.new("RGB", (300, 200))))
    output, second = tmp_path / "predictions.csv", tmp_path / "assessments.csv"
    call_command("classify", folder, output=output, assessments=second)
    assert list(rows_of(output)[0]) == ["image", *CODES, "UNK"], "the scorer's table stays the scorer's"
    rows = {row["image"]: row for row in rows_of(second)}
    assert set(rows) == {row["image"] for row in rows_of(output)}
    assert (rows["black"]["decision"], rows["black"]["quality"]) == ("not_assessed", "too_dark")
    assert rows["black"]["score"] == ""
    assert rows["ISIC_0000000"]["quality"] == "passed"
    assert rows["ISIC_0000000"]["decision"] in ("urgent", "soon", "monitor")


def test_unreadable_files_are_listed_and_everything_else_is_written(
    tiny_classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    (folder / "broken.jpg").write_bytes((folder / "ISIC_0000000.jpg").read_bytes()[:400])
    (folder / "LICENSE.txt").write_text("not a picture")
    output, errors = tmp_path / "predictions.csv", StringIO()
    with pytest.raises(CommandError, match="1 file"):
        call_command("classify", folder, output=output, stderr=errors)
    assert len(rows_of(output)) == len(CODES)
    assert "broken.jpg" in errors.getvalue()
    assert "1 file(s) were passed over" in errors.getvalue()


def test_a_damaged_member_of_a_zip_stops_nothing(tiny_classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    archive, picture = tmp_path / "pictures.zip", (folder / "ISIC_0000000.jpg").read_bytes()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jpg", picture)
        file.writestr("b.jpg", picture)
    data = bytearray(archive.read_bytes())
    start = 30 + len("a.jpg")  # behind the local header
    data[start : start + 40] = b"\xff" * 40
    archive.write_bytes(data)
    output, errors = tmp_path / "predictions.csv", StringIO()
    with pytest.raises(CommandError, match="1 file"):
        call_command("classify", archive, output=output, stderr=errors)
    assert [row["image"] for row in rows_of(output)] == ["b"]
    assert "pictures.zip::a.jpg" in errors.getvalue()


def test_a_name_that_is_no_text_is_written_all_the_same(
    tiny_classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/lat\xeen.jpg"))
    (folder / "ISIC_0000000.jpg").rename(odd)
    output = tmp_path / "predictions.csv"
    call_command("classify", odd, output=output)
    assert [row["image"] for row in rows_of(output)] == ["lat\\xeen"]


def test_a_folder_to_write_to_is_refused_at_once(tiny_classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is a folder"):
        call_command("classify", folder, output=tmp_path)


def test_a_zip_gives_what_the_folder_gives(tiny_classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"ISIC_2019_Test_Input/{path.name}")
        file.writestr("__MACOSX/._ISIC_0000000.jpg", b"shadow")
    call_command("classify", folder, output=tmp_path / "a.csv")
    call_command("classify", archive, output=tmp_path / "b.csv")
    assert rows_of(tmp_path / "a.csv") == rows_of(tmp_path / "b.csv")


def test_json_names_the_classifier(tiny_classifier: Classifier, folder: Path) -> None:
    out = StringIO()
    call_command("classify", folder / "ISIC_0000001.jpg", json=True, stdout=out)
    document = json.loads(out.getvalue())
    assert document["classifier"] == {"version": tiny_classifier.version, "sha256": tiny_classifier.sha256}
    (photo,) = document["photos"]
    assert photo["diagnosis"] == max(photo["probabilities"], key=photo["probabilities"].__getitem__)
    assert list(photo["probabilities"]) == list(CODES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "There is no file or folder"),
        (["{folder}/not-a.zip"], "not-a.zip: cannot be read as a folder or a zip file"),
        (["{folder}/empty"], "no pictures to classify"),
    ],
)
def test_what_cannot_be_classified_is_said(
    tiny_classifier: Classifier, folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "not-a.zip").write_bytes(b"no zip")
    (folder / "empty").mkdir()
    with pytest.raises(CommandError, match=message):
        call_command("classify", *[Path(each.format(folder=folder)) for each in arguments])


def test_names_stay_unique() -> None:
    assert image_names(["a/x.jpg", "b/y.jpg"]) == ["x", "y"]
    assert image_names(["a/x.jpg", "b/x.jpg"]) == ["a/x", "b/x"]
    assert len(set(image_names(["a/x.jpg", "a/x.png", "x.jpg"]))) == 3
