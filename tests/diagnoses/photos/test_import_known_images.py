"""`manage.py import_known_images`: the official layout, all or nothing."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.photos.services import submit_photo
from diagnoses.similar.models import ReferencePicture
from recognition.taxonomy import CODES

HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
SUBSET = Path(__file__).resolve().parents[4] / "shared" / "data" / "isic2019-subset-400px"


def row(image: str, code: str) -> str:
    return ",".join([image, *("1.0" if c == code else "0.0" for c in (*CODES, "UNK"))])


@pytest.fixture
def dataset(tmp_path: Path, picture: Any) -> Path:
    """Three images in a zip, in the ISIC layout."""
    with zipfile.ZipFile(tmp_path / "T_Input.zip", "w") as archive:
        for seed, name in enumerate(("ISIC_1", "ISIC_2", "ISIC_3_downsampled")):
            archive.writestr(f"T_Input/{name}.jpg", picture(seed))
        archive.writestr("T_Input/LICENSE.txt", "be nice")
    lines = [HEADER, row("ISIC_1", "NV"), row("ISIC_2", "MEL"), row("ISIC_3_downsampled", "SCC")]
    (tmp_path / "T_GroundTruth.csv").write_text("\n".join(lines))
    return tmp_path


def rewrite(dataset: Path, *lines: str) -> None:
    (dataset / "T_GroundTruth.csv").write_text("\n".join(lines))


def test_images_are_recognised_before_and_after(db: None, dataset: Path, patient: User, picture: Any) -> None:
    earlier = submit_photo(owner=patient, data=picture(1))
    assert earlier.recognised_as is None
    call_command("import_known_images", str(dataset), "--dataset", "Test set")
    assert dict(KnownImage.objects.values_list("image", "diagnosis")) == {
        "ISIC_1": "NV", "ISIC_2": "MEL", "ISIC_3_downsampled": "SCC",
    }  # fmt: skip
    earlier.refresh_from_db()
    assert str(earlier.recognised_as) == "ISIC_2 (Test set)"
    later = submit_photo(owner=patient, data=picture(0))
    assert later.ground_truth is not None
    assert (later.ground_truth.diagnosis, later.ground_truth.source) == ("NV", "dataset")
    assert submit_photo(owner=patient, data=picture(77)).recognised_as is None


def test_a_folder_works_like_a_zip_and_twice_is_once(db: None, dataset: Path) -> None:
    with zipfile.ZipFile(dataset / "T_Input.zip") as archive:
        archive.extractall(dataset / "unpacked")
    for _ in range(2):
        call_command(
            "import_known_images", images=dataset / "unpacked", ground_truth=dataset / "T_GroundTruth.csv", dataset="S"
        )
    assert KnownImage.objects.count() == 3


def test_if_empty_leaves_what_is_there(db: None, dataset: Path) -> None:
    call_command("import_known_images", str(dataset), "--if-empty")
    (dataset / "T_Input.zip").unlink()
    call_command("import_known_images", str(dataset), "--if-empty")
    assert KnownImage.objects.count() == 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["image,AK,BCC,BKL,DF,MEL,NV,SCC,VASC,UNK", row("ISIC_1", "NV")], "line 1: has the columns image, AK"),
        ([HEADER], "has no rows"),
        (
            [HEADER, row("ISIC_1", "NV"), "ISIC_2,1,1,0,0,0,0,0,0,0"],
            "line 3: ISIC_2 needs exactly one diagnosis set to 1; it has MEL and NV",
        ),
        ([HEADER, "ISIC_1,0,0,0,0,0,0,0,0,0"], "line 2: ISIC_1 needs exactly one diagnosis set to 1; it has none"),
        ([HEADER, "ISIC_1,nan,1,0,0,0,0,0,0,0"], "line 2: ISIC_1: MEL is 'nan'; expected 0 or 1"),
        ([HEADER, "ISIC_1,2,-1,0,0,0,0,0,0,0"], "line 2: ISIC_1: MEL is '2'; expected 0 or 1"),
        ([HEADER, "ISIC_1,1"], "line 2: has 2 cells; the header has 10"),
        ([HEADER, row("ISIC_1", "UNK")], "line 2: ISIC_1 is labelled UNK"),
        ([HEADER, row("ISIC_1", "NV"), row("ISIC_1", "NV")], "line 3: ISIC_1 is there twice; the first time on line 2"),
        ([HEADER, row("ISIC_1", "NV"), row("ISIC_9", "NV")], "the image ISIC_9 of the ground truth is missing"),
    ],
)
def test_every_fault_is_named_and_nothing_imported(db: None, dataset: Path, lines: list[str], said: str) -> None:
    rewrite(dataset, *lines)
    with pytest.raises(CommandError, match="Nothing was imported") as caught:
        call_command("import_known_images", str(dataset))
    assert said in str(caught.value)
    assert not KnownImage.objects.exists()


def test_a_broken_image_is_named(db: None, dataset: Path, picture: Any) -> None:
    with zipfile.ZipFile(dataset / "T_Input.zip", "a") as archive:
        archive.writestr("T_Input/ISIC_4.jpg", picture()[:300])
    rewrite(dataset, HEADER, row("ISIC_1", "NV"), row("ISIC_4", "NV"))
    with pytest.raises(CommandError, match=r"T_Input/ISIC_4\.jpg: This photo is damaged"):
        call_command("import_known_images", str(dataset))
    assert not KnownImage.objects.exists()


def test_what_is_not_there_is_said(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Give a folder"):
        call_command("import_known_images")
    with pytest.raises(CommandError, match="holds 0 of"):
        call_command("import_known_images", str(tmp_path))
    (tmp_path / "X_GroundTruth.csv").write_text("\n".join([HEADER, row("a", "NV")]))
    (tmp_path / "X_Input.zip").write_text("no zip")
    with pytest.raises(CommandError, match=r"X_Input\.zip: cannot be read as a folder or a zip file"):
        call_command("import_known_images", str(tmp_path))


def test_an_official_image_uploaded_shows_its_ground_truth(
    db: None, patient: User, tmp_path: Path, make_photo: Any
) -> None:
    """The whole path with real pictures: import some, upload one, see its diagnosis."""
    if not SUBSET.is_dir():
        pytest.skip("needs ../shared/data/isic2019-subset-400px")
    truth = (SUBSET / "ISIC_2019_Training_GroundTruth.csv").read_text().splitlines()
    chosen = truth[1:40]
    (tmp_path / "S_GroundTruth.csv").write_text("\n".join([truth[0], *chosen]))
    source = SUBSET / "ISIC_2019_Training_Input.zip"
    call_command("import_known_images", images=source, ground_truth=tmp_path / "S_GroundTruth.csv", dataset="ISIC 2019")
    name = chosen[7].split(",")[0]
    with zipfile.ZipFile(source) as archive:
        photo = submit_photo(owner=patient, data=archive.read(f"ISIC_2019_Training_Input/{name}.webp"))
    browser = Client()
    browser.force_login(patient)
    truth_shown = browser.get(f"/api/v1/photos/{photo.pk}/").json()["ground_truth"]
    assert truth_shown["reference"] == f"{name} (ISIC 2019)"
    assert truth_shown["diagnosis"]["code"] == KnownImage.objects.get(image=name).diagnosis
    assert Photo.objects.get().recognised_as == KnownImage.objects.get(image=name)


def test_pictures_are_kept_small_and_lesions_named(db: None, dataset: Path) -> None:
    (dataset / "T_Metadata.csv").write_text("image,age_approx,lesion_id\nISIC_1,40,L9\nISIC_2,,\n")
    call_command("import_known_images", str(dataset), "--dataset", "S")
    assert dict(KnownImage.objects.values_list("image", "lesion")) == {
        "ISIC_1": "L9", "ISIC_2": "", "ISIC_3_downsampled": "",
    }  # fmt: skip
    assert set(ReferencePicture.objects.values_list("original_sha256", flat=True)) == set(
        KnownImage.objects.values_list("original_sha256", flat=True)
    )
    ReferencePicture.objects.first().delete()  # type: ignore[union-attr]  # there are three
    call_command("import_known_images", str(dataset), "--dataset", "S", "--if-empty")
    assert ReferencePicture.objects.count() == 3, "known, but not whole"


def test_a_member_with_damaged_bytes_is_named(db: None, dataset: Path, picture: Any) -> None:
    archive = dataset / "T_Input.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for seed, name in enumerate(("ISIC_1", "ISIC_2", "ISIC_3_downsampled")):
            file.writestr(f"{name}.jpg", picture(seed))
        place = file.getinfo("ISIC_2.jpg").header_offset
    content = bytearray(archive.read_bytes())
    content[place + 45 : place + 145] = bytes([255]) * 100
    archive.write_bytes(bytes(content))
    with pytest.raises(CommandError, match=r"ISIC_2\.jpg"):
        call_command("import_known_images", str(dataset))
    assert not KnownImage.objects.exists()
