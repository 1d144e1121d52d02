"""Joined data sets: rows that point to the archives of their parts, a folder for training, and deletion."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from accounts.models import Role, User
from accounts.permissions import NotAllowed
from recognition.datasets.joined import ABOUT, PICTURES, TABLE, is_joined, read_joined
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import TEST
from tests.training.run_factories import made_dataset
from training.data.archive import DatasetPictures
from training.data.import_errors import DatasetImportError
from training.data.joining import join_datasets, outcome_line, prepare_joined
from training.data.reading import read_learning_data, read_sealed
from training.data.sealing import write
from training.models import Dataset, Example, ImageArchive
from training.services.datasets import DatasetInUse, delete_dataset, disk_use

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    monkeypatch.setattr("training.data.exploration.draw", lambda _section: None)


@pytest.fixture
def parts(db: None) -> list[Dataset]:
    return [made_dataset("first", per_diagnosis=10), made_dataset("second", per_diagnosis=10, seed=500)]


def links(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    path = tmp_path / "same.csv"
    path.write_text("milk10k_lesion_id,isic2019_lesion_id\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    return path


def test_the_parts_archives_are_used_and_no_picture_is_copied(parts: list[Dataset], tmp_path: Path) -> None:
    archives = set(ImageArchive.objects.values_list("pk", flat=True))
    same = links(tmp_path, ("LFIRST_00000", "LSECOND_00008"), ("LSECOND_00001", "L gone"))
    dataset = join_datasets(name="joined", parts=parts, same_lesion=same)
    assert dataset.example_count == 160 and dataset.has_images
    assert set(ImageArchive.objects.values_list("pk", flat=True)) == archives
    assert set(dataset.examples.values_list("archive", flat=True)) == archives
    said = dataset.report["joined"]
    assert said["links"] == {"rows": 2, "used": 1, "not_there": 1}
    assert outcome_line(dataset) == "joined 1 lesions; leakage before 1, after 0"
    assert sum(dataset.report["split"]["leakage"]["ours"].values()) == 0
    before = {image: split for part in parts for image, split in part.examples.values_list("image", "split")}
    after = dict(dataset.examples.values_list("image", "split"))
    # Only the linked picture of the test split moved.
    assert {image for image in before if before[image] != after[image]} == {"SECOND_00008"}
    assert after["SECOND_00008"] == "train"
    sealed = read_sealed(dataset)
    with sealed.pictures as pictures, DatasetPictures(parts[1]) as own:
        assert pictures.content("SECOND_00008") == own.content("SECOND_00008")


def test_rows_without_a_picture_and_none_of_the_eight_are_kept_and_not_learned(parts: list[Dataset]) -> None:
    tables_only = Dataset.objects.create(name="answers", example_count=3, fingerprint="0" * 64)
    for image, diagnosis, split in (("P1", "MEL", "test"), ("P2", "NV", "train"), ("FIRST_00000", "MEL", "train")):
        Example.objects.create(
            dataset=tables_only, image=image, diagnosis=diagnosis, split=split, patient_id="PAT_1", lesion_id=image,
            details={"itch": "True"},
        )  # fmt: skip
    Example.objects.filter(dataset=parts[0], image="FIRST_00001").update(diagnosis="", split="")
    Example.objects.filter(dataset=tables_only, image="FIRST_00000").update(patient_id="", lesion_id="LFIRST_00000")
    Example.objects.filter(dataset=parts[1], image="SECOND_00001").update(lesion_id="")
    dataset = join_datasets(name="joined", parts=[*parts, tables_only])
    assert dataset.examples.get(lesion_id="").image == "SECOND_00001"
    assert set(dataset.examples.values_list("patient_id", flat=True)) == {"", "PAT_1"}
    assert dataset.example_count == 162
    assert dataset.report["joined"]["images_held_twice"] == 1
    # A patient is whole: the row of the test split went to training.
    assert dataset.examples.get(image="P1").split == dataset.examples.get(image="P2").split == "train"
    assert dataset.examples.get(image="P1").details == {"itch": "True"}
    assert dataset.examples.get(image="FIRST_00001").split == ""
    assert dataset.examples.get(image="FIRST_00000").archive is not None
    sealed = read_sealed(dataset)
    sealed.pictures.close()
    assert len(sealed.examples) == 159
    assert not {"P1", "P2", "FIRST_00001"} & set(sealed.examples.table["image"])
    assert set(sealed.split.assignment.index) == set(sealed.examples.table["image"])
    assert sealed.split.test_fingerprint == dataset.test_fingerprint


def test_rows_without_a_picture_can_be_learned_from_and_change_nothing_else(
    parts: list[Dataset], tmp_path: Path
) -> None:
    tables_only = Dataset.objects.create(name="answers", example_count=5, fingerprint="0" * 64)
    for image, diagnosis, split, patient in (
        ("P1", "MEL", "train", "PAT_1"), ("P2", "NV", "test", "PAT_2"), ("P3", "", "", "PAT_3"),
        ("P4", "NV", "train", ""), ("P5", "MEL", "train", ""),
    ):  # fmt: skip
        Example.objects.create(
            dataset=tables_only, image=image, diagnosis=diagnosis, split=split, patient_id=patient, lesion_id=image,
            details={"itch": "UNK", "grew": "True"}, age_approx=40,
        )  # fmt: skip
    # P4 is a nevus, and a melanoma to the picture of its lesion; P5 agrees with a picture of the test split.
    Example.objects.filter(dataset=tables_only, image="P4").update(lesion_id="LFIRST_00000")
    tested = parts[0].examples.filter(split="test", diagnosis="MEL").first()
    assert tested is not None
    Example.objects.filter(dataset=tables_only, image="P5").update(lesion_id=tested.lesion_id)
    assert parts[0].examples.get(image="FIRST_00000").diagnosis == "MEL"
    folder = tmp_path / "folder"
    alone = join_datasets(name="alone", parts=parts)
    dataset = join_datasets(name="joined", parts=[*parts, tables_only], output=folder)
    assert (dataset.example_count, alone.example_count) == (164, 160)
    assert dataset.fingerprint == alone.fingerprint
    assert dataset.split_fingerprint == alone.split_fingerprint
    assert dataset.examples.get(image=tested.image).split == dataset.examples.get(image="P5").split == "test"
    sealed, read = read_learning_data("joined"), read_learning_data(folder)
    with sealed.pictures, read.pictures:
        for examples in (sealed.examples, read.examples):
            assert list(examples.further["image"]) == ["P1"], "P2 and P5 are held out, P3 has no diagnosis"
            (row,) = examples.further.to_dict("records")
            assert row["details"] == {"itch": "UNK", "grew": "True"} and row["patient_id"] == "PAT_1"
            assert row["age_approx"] == 40 and row["sex"] is None and row["sha256"] == ""
            assert examples.table["details"].tolist() == [{}] * 160
        pd.testing.assert_frame_equal(read.examples.further, sealed.examples.further)


def test_a_folder_holds_the_whole_data_set_and_training_reads_it(parts: list[Dataset], tmp_path: Path) -> None:
    Example.objects.filter(dataset=parts[0], image="FIRST_00002").update(lesion_id="", sex="", age_approx=None)
    Example.objects.filter(dataset=parts[0], image="FIRST_00001").update(diagnosis="", split="")
    folder = tmp_path / "out" / "folder"
    dataset = join_datasets(name="joined", parts=parts, output=folder)
    assert is_joined(folder)
    sealed, read = read_learning_data("joined"), read_learning_data(folder)
    with sealed.pictures, read.pictures:
        assert read.split is not None and sealed.split is not None
        assert read.examples.name == "joined" and read.examples.fingerprint == dataset.fingerprint
        assert read.split.fingerprint == dataset.split_fingerprint
        assert read.split.test_fingerprint == dataset.test_fingerprint
        assert read.split.shares == sealed.split.shares and read.split.seed == sealed.split.seed
        pd.testing.assert_frame_equal(read.examples.table, sealed.examples.table)
        image = read.split.images(TEST)[0]
        assert read.pictures.content(image) == sealed.pictures.content(image)
        assert read.pictures.picture(image).mode == "RGB"


def test_a_broken_folder_is_a_sentence(parts: list[Dataset], tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    join_datasets(name="joined", parts=parts, output=whole)

    def broken(name: str, change: Any) -> Path:
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        content = change((folder / name).read_bytes())
        (folder / name).write_bytes(content)
        return folder

    for name, change, said in (
        (ABOUT, lambda content: content[:20], "Write the folder again"),
        (ABOUT, lambda content: content.replace(b'"seed"', b'"sead"'), "Write the folder again"),
        (TABLE, lambda content: content.replace(b",MEL,", b",NV,", 1), "is not the table"),
        (TABLE, lambda content: content.replace(b",train,", b",learn,", 1), "line 2: split is 'learn'"),
        (TABLE, lambda content: content.replace(b"image,", b"picture,", 1), "expected exactly image"),
        (TABLE, lambda content: content.replace(b",train,\n", b",train,[]\n", 1), "details are '\\[\\]'; expected"),
        (TABLE, lambda content: b"", "is empty"),
        (PICTURES, lambda content: content[: len(content) // 2], "cannot be read"),
    ):
        with pytest.raises(ExamplesError, match=said):
            read_joined(broken(name, change))
    with pytest.raises(ExamplesError, match="neither a folder nor the name"):
        read_learning_data(tmp_path / "nowhere")


def test_a_part_stays_while_a_joined_data_set_needs_it(
    parts: list[Dataset], django_capture_on_commit_callbacks: Any
) -> None:
    dataset = join_datasets(name="joined", parts=parts)
    sizes = [disk_use(part) for part in parts]
    both = disk_use(dataset)
    assert both.total == both.shared == sizes[0].total + sizes[1].total > 0
    assert both.others == ("first", "second") and sizes[0].others == ("joined",)
    with pytest.raises(DatasetInUse, match="The joined data set joined uses its images"):
        delete_dataset(dataset=parts[0], by=None)
    names = list(ImageArchive.objects.values_list("name", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        delete_dataset(dataset=dataset, by=None)
    assert all(default_storage.exists(name) for name in names)
    assert disk_use(parts[0]).shared == 0
    with django_capture_on_commit_callbacks(execute=True):
        delete_dataset(dataset=parts[0], by=None)
    assert [default_storage.exists(name) for name in names].count(True) == 1


def test_a_part_that_is_deleted_meanwhile_ends_the_joining(parts: list[Dataset]) -> None:
    new = prepare_joined(name="joined", parts=parts, folder="datasets/shell-x", report=lambda _progress: None)
    delete_dataset(dataset=parts[0], by=None)
    with pytest.raises(DatasetImportError) as failed:
        write(new, by=None)
    assert failed.value.code == "part_gone"
    assert not Dataset.objects.filter(name="joined").exists()


def test_only_administrators_join_and_names_and_parts_are_checked(parts: list[Dataset], tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        join_datasets(name="x", parts=parts, by=User.objects.create_user("p@example.org", role=Role.PATIENT))
    for wrong in (parts[:1], [parts[0], parts[0]]):
        with pytest.raises(DatasetImportError, match="at least two"):
            join_datasets(name="x", parts=wrong)
    with pytest.raises(DatasetImportError, match="already"):
        join_datasets(name="first", parts=parts)
    wrong_file = tmp_path / "wrong.csv"
    wrong_file.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetImportError) as failed:
        join_datasets(name="x", parts=parts, same_lesion=wrong_file, leave_out=wrong_file)
    assert len(failed.value.problems) == 2
    assert Dataset.objects.count() == 2


def test_the_command_says_what_it_did(parts: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = tmp_path / "left.csv"
    left.write_text("lesion_id\nLFIRST_00003\nL gone\n")
    same = links(tmp_path, ("LFIRST_00000", "LSECOND_10000"), ("LFIRST_00001", "LSECOND_00009"))
    call_command(
        "join_datasets", "first", "second", name="joined", same_lesion=same, leave_out=left, output=tmp_path / "folder"
    )
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "joined 1 lesions; leakage before 1, after 0"
    assert "LFIRST_00000 and LSECOND_10000 (MEL, NV)" in said and "LFIRST_00003 (MEL)" in said
    assert "Lesions to leave out that are not there: 1." in said
    assert is_joined(tmp_path / "folder")
    assert Dataset.objects.get(name="joined").example_count == 157
    with pytest.raises(CommandError, match="no data set named third"):
        call_command("join_datasets", "first", "third", name="more")


def test_a_folder_trains_and_the_name_of_the_data_set_reproduces_the_figures(
    parts: list[Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    join_datasets(name="joined", parts=parts, output=tmp_path / "folder")
    bundle = tmp_path / "bundle"
    call_command(
        "train_default_classifier", data=tmp_path / "folder", recipe="SMOKE", output=bundle, work=tmp_path / "caches"
    )
    call_command("reseal_classifier", data="joined", bundle=bundle)
    assert "Every figure of smoke-" in capsys.readouterr().out
