"""Whole imports: a good one is sealed; a bad one gives a clear reason and leaves nothing."""

import csv
import dataclasses
import errno
import io
import itertools
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from PIL import Image

from accounts.models import Role, User
from accounts.permissions import NotAllowed
from diagnoses.photos.models import KnownImage
from recognition.datasets.pictures import PICTURE_LIMITS, PictureStore
from recognition.datasets.splits import split_fingerprint
from recognition.progress import Progress
from recognition.sandbox import content_hash, hash_distance, read_image
from recognition.taxonomy import CODES
from tests.factories import jpeg_bytes, made_picture, write_dataset
from training.data.import_errors import DatasetImportError
from training.data.importing import ImportSource, import_dataset
from training.data.reading import read_sealed
from training.models import Dataset, DatasetImport, Example, ImageArchive, Job
from training.services import jobs
from training.services.datasets import DatasetInUse, delete_dataset, store_exploration
from training.services.imports import (
    available_sources,
    request_import,
    request_version_with_photos,
    resolve_source,
)
from training.services.jobs import JobRejected
from training.services.orphans import discard_unused, sweep_files
from training.services.test_contamination import contamination_of, dealt_fingerprint
from training.worker.importing import _at_hand, run_import_job

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 192 pictures of 96 lesions in the official layout."""
    return write_dataset(tmp_path_factory.mktemp("isic"))


@pytest.fixture
def charts() -> None:
    """Used by tests that look at charts; the others skip drawing, which takes longest."""


@pytest.fixture
def files(
    made_files: Path, tmp_path: Path, settings: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of the files inside the data folder, which a test may change; the storage is empty."""
    if "charts" not in request.fixturenames:
        monkeypatch.setattr("training.data.exploration.draw", lambda _section: None)
    settings.TRAINING_DATA_DIR = tmp_path / "data"
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    # The rows are in the transaction of the test, where the heartbeat thread does not see them.
    settings.TRAINING_LEASE = timedelta(hours=1)
    folder = tmp_path / "data" / "made"
    shutil.copytree(made_files, folder)
    for name in stored():
        default_storage.delete(name)
    yield folder


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", "correct horse battery", role=Role.ADMINISTRATOR)


def stored(folder: str = "") -> list[str]:
    """Every file on the storage below datasets/ and imports/."""
    if not folder:
        return [*stored("datasets"), *stored("imports")]
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    return [f"{folder}/{name}" for name in names] + [name for inner in folders for name in stored(f"{folder}/{inner}")]


def source(folder: Path, *, images: bool = True) -> ImportSource:
    return ImportSource(
        ground_truth=folder / "ISIC_2019_Training_GroundTruth.csv",
        metadata=folder / "ISIC_2019_Training_Metadata.csv",
        images=folder / "ISIC_2019_Training_Input.zip" if images else None,
    )


def nothing_is_left(settings: Any) -> None:
    assert not Dataset.objects.exists() and not Example.objects.exists() and not ImageArchive.objects.exists()
    assert not KnownImage.objects.exists()
    assert stored() == []
    work = Path(settings.TRAINING_WORK_DIR) / "imports"
    assert not work.exists() or list(work.iterdir()) == []


def respell(path: Path, change: dict[str, str]) -> None:
    """Replace whole lines of a CSV that start with a key."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change.get(line.split(",", 1)[0], line) for line in lines) + "\n")


def rezip(path: Path, change: Mapping[str, bytes | None]) -> None:
    """Replace members of the zip; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members.update({name: content for name, content in change.items() if content is not None})
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            if change.get(name, b"") is not None:
                new.writestr(name, content)


def test_a_good_import_is_whole(files: Path, charts: None) -> None:
    seen: list[Progress] = []
    dataset = import_dataset(name="made", source=source(files), report=seen.append)

    assert dataset.has_images and dataset.example_count == 192 == dataset.examples.count()
    examples = list(dataset.examples.order_by("image"))
    with zipfile.ZipFile(files / "ISIC_2019_Training_Input.zip") as original:
        first = original.read("ISIC_0000000.jpg")
    assert examples[0].content_hash == content_hash(read_image(first))
    assert (examples[0].width, examples[0].height, examples[0].lesion_id) == (200, 150, "L00")

    # The archive holds the very bytes, and the pipeline reads them back.
    sealed = read_sealed(dataset)
    with sealed.pictures as pictures:
        assert pictures.content("ISIC_0000000") == first
        assert len(pictures) == 192
    assert sealed.split.fingerprint == dataset.split_fingerprint == split_fingerprint(sealed.split.assignment)
    assert sealed.split.test_fingerprint == dataset.test_fingerprint

    # The split is by lesion.
    sides: dict[str, set[str]] = {}
    for example in examples:
        sides.setdefault(example.lesion_id, set()).add(example.split)
    assert all(len(each) == 1 for each in sides.values()) and len(sides) == 96
    leakage = dataset.report["split"]["leakage"]
    assert sum(leakage["ours"].values()) == 0 and leakage["random"]["mean"] > 0.5
    counts = dataset.report["split"]["counts"]
    assert {code: sum(counts[code].values()) for code in CODES} == dict.fromkeys(CODES, 24)

    # Uploads of these pictures will be recognised.
    assert KnownImage.objects.filter(dataset="made").count() == 192
    # Figures and charts are there.
    assert dataset.eda is not None
    assert {section["key"] for section in dataset.eda["sections"]} >= {"class-distribution", "image-sizes", "untold"}
    for chart in dataset.eda["charts"].values():
        assert default_storage.exists(chart["svg"]) and default_storage.exists(chart["png"])
    stages = {each.stage for each in seen}
    assert {"tables", "pictures", "split", "duplicates", "figures", "charts", "storing", "rows"} <= stages


def test_the_same_files_and_seed_give_the_same_split_another_seed_another(files: Path) -> None:
    one = import_dataset(name="one", source=source(files), seed=1)
    two = import_dataset(name="two", source=source(files), seed=1)
    three = import_dataset(name="three", source=source(files), seed=2)
    assert one.split_fingerprint == two.split_fingerprint != three.split_fingerprint
    assert one.fingerprint == two.fingerprint == three.fingerprint
    assert ImageArchive.objects.values_list("sha256", flat=True).distinct().count() == 1


def test_tables_without_images_can_be_explored(files: Path) -> None:
    dataset = import_dataset(name="tables", source=source(files, images=False))
    assert not dataset.has_images and not KnownImage.objects.exists() and not ImageArchive.objects.exists()
    assert dataset.examples.filter(archive__isnull=True, sha256="").count() == 192
    assert dataset.eda is not None and "image-sizes" not in dataset.eda["charts"]
    assert dataset.report["split"]["leakage"]["random"]["mean"] > 0.5


def test_a_folder_of_images_and_names_with_and_without_downsampled(files: Path) -> None:
    with zipfile.ZipFile(files / "ISIC_2019_Training_Input.zip") as pictures:
        pictures.extractall(files / "Input" / "deeper")
    (files / "Input" / "deeper" / "ISIC_0000000.jpg").rename(
        files / "Input" / "deeper" / "ISIC_0000000_downsampled.jpg"
    )
    (files / "Input" / "LICENSE.txt").write_text("text is no picture")
    given = source(files)
    dataset = import_dataset(name="folder", source=ImportSource(given.ground_truth, given.metadata, files / "Input"))
    assert dataset.examples.get(image="ISIC_0000000").member == "ISIC_0000000.jpg"


def test_every_problem_of_every_file_is_reported_and_nothing_is_left(files: Path, settings: Any) -> None:
    given = source(files)
    assert given.metadata is not None and given.images is not None
    respell(given.ground_truth, {"ISIC_0000001": "ISIC_0000001,1,1,0,0,0,0,0,0,0"})
    respell(given.metadata, {"ISIC_0000002": "ISIC_0000002,55,knee,L02,female"})
    whole = jpeg_bytes(made_picture("NV", 1))
    rezip(
        given.images,
        {
            "ISIC_0000003.jpg": None,
            "ISIC_0000004.jpg": whole[: len(whole) // 2],
            "ISIC_0000005.jpg": b"<html>not found</html>",
        },
    )
    with pytest.raises(DatasetImportError) as refused:
        import_dataset(name="bad", source=given)
    assert refused.value.code == "faulty_files"
    found = [(problem.file, problem.line) for problem in refused.value.problems]
    assert found == [
        ("ISIC_2019_Training_GroundTruth.csv", 3),
        ("ISIC_2019_Training_Metadata.csv", 4),
        ("ISIC_2019_Training_GroundTruth.csv", 5),
        ("ISIC_0000004.jpg", 0),
        ("ISIC_0000005.jpg", 0),
    ]
    reasons = [problem.reason for problem in refused.value.problems]
    assert "MEL and NV" in reasons[0] and "'knee'" in reasons[1] and "no picture" in reasons[2]
    assert "broken" in reasons[3] and "line 6" in reasons[3] and "not_an_image" in reasons[4]
    nothing_is_left(settings)


def test_one_lesion_with_two_diagnoses_is_a_problem(files: Path, settings: Any) -> None:
    given = source(files)
    respell(given.ground_truth, {"ISIC_0000000": "ISIC_0000000,0,1,0,0,0,0,0,0,0"})
    with pytest.raises(DatasetImportError) as refused:
        import_dataset(name="bad", source=given)
    assert [problem.line for problem in refused.value.problems] == [2]
    assert "different diagnoses" in refused.value.problems[0].reason
    nothing_is_left(settings)


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", b"", b"\x89PNG\r\n\x1a\n"])
def test_a_zip_that_is_none_is_told(files: Path, settings: Any, content: bytes) -> None:
    given = source(files)
    assert given.images is not None
    given.images.write_bytes(content)
    with pytest.raises(DatasetImportError, match="ISIC_2019_Training_Input"):
        import_dataset(name="bad", source=given)
    nothing_is_left(settings)


def test_a_zip_of_a_kind_nobody_reads_is_told(files: Path, settings: Any) -> None:
    given = source(files)
    assert given.images is not None
    whole = given.images.read_bytes()
    entry = whole.index(b"PK\x01\x02")  # the first of the central directory
    # "Needed to extract: version 9.9" is refused with an error of its own kind by the zipfile module.
    given.images.write_bytes(whole[: entry + 6] + b"\x63\x00" + whole[entry + 8 :])
    with pytest.raises(DatasetImportError) as refused:
        import_dataset(name="bad", source=given)
    assert "cannot be read as a folder or a zip file" in refused.value.problems[0].reason
    nothing_is_left(settings)


def test_a_picture_packed_with_a_broken_lzma_stream_is_told(files: Path, settings: Any) -> None:
    given = source(files)
    assert given.images is not None
    with zipfile.ZipFile(given.images) as pictures:
        contents = {name: pictures.read(name) for name in pictures.namelist()}
    first = next(iter(contents))
    with zipfile.ZipFile(given.images, "w") as pictures:
        for name, content in contents.items():
            packed = zipfile.ZIP_LZMA if name == first else zipfile.ZIP_STORED
            pictures.writestr(name, content, compress_type=packed)
        begin = pictures.getinfo(first).header_offset + 30 + len(first)
        size = pictures.getinfo(first).compress_size
    spoiled = bytearray(given.images.read_bytes())
    spoiled[begin : begin + size] = b"\xff" * size
    given.images.write_bytes(bytes(spoiled))
    with pytest.raises(DatasetImportError) as refused:
        import_dataset(name="bad", source=given)
    assert [problem.file for problem in refused.value.problems] == [first]
    nothing_is_left(settings)


def test_copies_stay_together_and_are_reported(files: Path) -> None:
    given = source(files)
    assert given.images is not None
    # Two lesions of one diagnosis share a file: byte for byte one picture.
    with zipfile.ZipFile(given.images) as pictures:
        copy = pictures.read("ISIC_0100000.jpg")
    near = io.BytesIO()
    read_image(copy).save(near, "JPEG", quality=60)
    rezip(given.images, {f"ISIC_010000{n}.jpg": copy for n in (4, 5)} | {"ISIC_0100006.jpg": near.getvalue()})
    dataset = import_dataset(name="copies", source=given)
    duplicates = dataset.report["duplicates"]
    copies = ["ISIC_0100000", "ISIC_0100004", "ISIC_0100005"]
    assert copies in duplicates["exact_copies"]
    hashes = {image: bytes(each) for image, each in dataset.examples.values_list("image", "content_hash")}
    digests = dict(dataset.examples.values_list("image", "sha256"))
    # Exact copies are not counted as near duplicates.
    assert duplicates["near_count"] == sum(
        hash_distance(hashes[a], hashes[b]) <= duplicates["near_within_bits"] and digests[a] != digests[b]
        for a, b in itertools.combinations(sorted(hashes), 2)
    )
    assert any({"ISIC_0100000", "ISIC_0100006"} == set(pair["images"]) for pair in duplicates["near_other_lesion"])
    sides = dict(dataset.examples.values_list("image", "split"))
    assert sides["ISIC_0100000"] == sides["ISIC_0100004"]


def test_a_full_disk_is_told_and_leaves_nothing(
    files: Path, charts: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = default_storage.save

    def full(name: str, content: File[Any], **options: Any) -> str:
        if name.endswith(".zip"):
            content.read(100)
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(name, content, **options)

    monkeypatch.setattr(default_storage, "save", full)
    with pytest.raises(DatasetImportError, match="The disk is full") as refused:
        import_dataset(name="made", source=source(files))
    assert refused.value.code == "disk_full"
    nothing_is_left(settings)


def test_too_little_working_space_is_told_before_the_work(
    files: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(files)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    seen: list[Progress] = []
    with pytest.raises(DatasetImportError, match="GB are free"):
        import_dataset(name="made", source=source(files), report=seen.append)
    assert "pictures" not in {each.stage for each in seen}
    nothing_is_left(settings)


def test_a_storage_that_fails_is_told_and_leaves_nothing(
    files: Path, charts: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, content: File[Any], **options: Any) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(default_storage, "save", refuse)
    with pytest.raises(DatasetImportError, match="The storage did not take the charts: Permission denied"):
        import_dataset(name="made", source=source(files))
    nothing_is_left(settings)


def test_a_name_is_taken_once(files: Path) -> None:
    import_dataset(name="made", source=source(files, images=False))
    with pytest.raises(DatasetImportError, match="already") as refused:
        import_dataset(name="made", source=source(files))
    assert refused.value.code == "name_taken"
    assert Dataset.objects.count() == 1 and not ImageArchive.objects.exists()


def test_the_command_says_what_came_of_it(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = source(files)
    arguments = {"name": "made", "ground_truth": given.ground_truth, "metadata": given.metadata}
    call_command("import_isic2019", **arguments, images=given.images)
    said = capsys.readouterr().out
    assert "Imported made: 192 images of 96 lesions." in said and "0 images outside training" in said
    respell(given.ground_truth, {"ISIC_0000001": "ISIC_0000001,0,0,0,0,0,0,0,0,1"})
    with pytest.raises(CommandError, match="One fault"):
        call_command("import_isic2019", **{**arguments, "name": "bad"})
    assert "ISIC_2019_Training_GroundTruth.csv, line 3: ISIC_0000001 is labelled UNK" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"name": " "}, {"name": "n" * 101}, {"seed": -1}, {"seed": 2**31}])
def test_the_command_refuses_what_the_database_could_not_hold(files: Path, wrong: dict[str, Any]) -> None:
    arguments = {"name": "made", "ground_truth": source(files).ground_truth, **wrong}
    with pytest.raises(CommandError, match=r"--name|--seed"):
        call_command("import_isic2019", **arguments)
    assert not Dataset.objects.exists()


def test_eda_prints_what_the_page_shows(files: Path, charts: None, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    dataset = import_dataset(name="made", source=source(files))
    call_command("eda", "made", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert dataset.eda is not None
    assert printed["sections"] == dataset.eda["sections"] and printed["rows"] == 192
    old = {name for chart in dataset.eda["charts"].values() for name in chart.values()}
    call_command("eda", "made", "--store")
    dataset.refresh_from_db()
    assert dataset.eda is not None
    new = {name for chart in dataset.eda["charts"].values() for name in chart.values()}
    assert not old & new and all(default_storage.exists(name) for name in new)
    with pytest.raises(CommandError, match="There are: made"):
        call_command("eda", "nowhere")


# --- As a job of the training worker ---------------------------------------------------------------------------


def requested(administrator: User, name: str = "made", **sources: Any) -> DatasetImport:
    given = {
        "ground_truth": "made/ISIC_2019_Training_GroundTruth.csv",
        "metadata": "made/ISIC_2019_Training_Metadata.csv",
        "images": "made/ISIC_2019_Training_Input.zip",
        **sources,
    }
    return request_import(by=administrator, name=name, **given)


def test_a_queued_import_is_done_once_however_often_it_is_delivered(files: Path, administrator: User) -> None:
    job = requested(administrator)
    run_import_job(str(job.pk))
    run_import_job(str(job.pk))
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED and job.attempts == 1
    assert job.dataset is not None and job.dataset.created_by == administrator
    assert Dataset.objects.count() == 1 == ImageArchive.objects.count()
    sweep_files()
    assert default_storage.exists(ImageArchive.objects.get().name)


def test_problems_are_stored_with_the_job(files: Path, administrator: User, settings: Any) -> None:
    respell(files / "ISIC_2019_Training_GroundTruth.csv", {"ISIC_0000001": "ISIC_0000001,0,0,0,0,0,0,0,0,1"})
    job = requested(administrator)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Job.Status.FAILED, "faulty_files")
    assert job.faults == [
        {
            "file": "ISIC_2019_Training_GroundTruth.csv",
            "line": 3,
            "reason": "ISIC_0000001 is labelled UNK; only the eight diagnoses can be learned.",
        }
    ]
    nothing_is_left(settings)


def test_cancel_ends_a_running_import_and_leaves_nothing(
    files: Path, administrator: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = requested(administrator)
    beats: list[str] = []
    beat = jobs.heartbeat

    def cancelled_meanwhile(claim: jobs.JobClaim, **changes: Any) -> None:
        beats.append(changes["progress"]["stage"])
        if beats[-1] == "charts":
            assert jobs.request_cancel(job, by=administrator)
        beat(claim, **changes)

    monkeypatch.setattr(jobs, "heartbeat", cancelled_meanwhile)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED and beats[-1] == "charts"
    nothing_is_left(settings)


def test_a_row_of_broken_pictures_and_a_long_upload_renew_the_lease(files: Path, administrator: User) -> None:
    given = source(files)
    assert given.images is not None and given.metadata is not None
    rezip(given.images, {f"ISIC_{100000 + number:07d}.jpg": b"no picture" for number in range(192)})
    seen: list[Progress] = []
    with pytest.raises(DatasetImportError):
        import_dataset(name="broken", source=given, report=seen.append)
    assert len([progress for progress in seen if progress.stage == "pictures"]) >= 192 // 20
    with given.images.open("rb") as images:
        stored_as = default_storage.save("imports/long/images.zip", File(images))
    seen.clear()
    copied = _at_hand(f"upload:{stored_as}", files, "copy.zip", seen.append)
    assert copied.read_bytes() == given.images.read_bytes() and seen


def test_a_worker_that_lost_its_lease_writes_nothing(
    files: Path, administrator: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = requested(administrator)
    beat = jobs.heartbeat

    def taken_over(claim: jobs.JobClaim, **changes: Any) -> None:
        if changes["progress"]["stage"] == "rows":
            # Like the sweep with the job of a lost worker, just before the last step.
            DatasetImport.objects.filter(pk=job.pk).update(
                status=Job.Status.QUEUED, lease=None, lease_expires=None, queued=timezone.now()
            )
            return
        beat(claim, **changes)

    monkeypatch.setattr(jobs, "heartbeat", taken_over)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.QUEUED
    nothing_is_left(settings)


def test_what_a_killed_worker_left_is_swept(files: Path, administrator: User) -> None:
    job = requested(administrator)
    claim = jobs.claim(DatasetImport, job.pk)
    assert claim is not None
    left = default_storage.save(f"datasets/import-{job.pk}-{claim.lease.hex}/images.zip", ContentFile(b"half"))
    sweep_files()
    assert default_storage.exists(left), "its worker may be alive"
    jobs.give_back(claim)
    sweep_files()
    assert not default_storage.exists(left)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED


def test_what_a_killed_command_left_is_swept_when_it_is_old_and_nobody_needs_it(
    files: Path, charts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = import_dataset(name="made", source=source(files))
    store_exploration(dataset, {**dataset.eda, "charts": {}})  # type: ignore[dict-item]  # it has figures
    there = stored()
    assert there and all(name.startswith("datasets/shell-") for name in there)
    for name in ("shell-0123/images.zip", "eda-4567/ages.svg", "somebody/else.txt"):
        default_storage.save(f"datasets/{name}", ContentFile(b"half"))
    sweep_files()
    assert len(stored()) == len(there) + 3, "a command may be at work"
    later = timezone.now() + timedelta(days=2)
    monkeypatch.setattr("training.services.orphans.timezone.now", lambda: later)
    assert sweep_files() == 2
    # Files of the data set stay, however old they are.
    assert sorted(stored()) == sorted([*there, "datasets/somebody/else.txt"])


def test_an_import_whose_commit_went_through_although_the_answer_was_lost_keeps_its_files(
    files: Path, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = requested(administrator)
    finish = jobs.finish

    def commits_and_loses_the_answer(*args: Any, **options: Any) -> bool:
        monkeypatch.setattr(jobs, "finish", finish)
        finish(*args, **options)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(jobs, "finish", commits_and_loses_the_answer)
    with pytest.raises(OperationalError):
        run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED
    assert job.dataset is not None
    with read_sealed(job.dataset).pictures as pictures:
        assert len(pictures) == 192


def test_files_are_left_to_the_sweep_where_the_database_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    left = default_storage.save("datasets/import-1-ab/images.zip", ContentFile(b"whole, perhaps"))

    def gone(_folder: str) -> bool:
        raise OperationalError

    monkeypatch.setattr("training.services.orphans.in_use", gone)
    monkeypatch.setattr("training.services.orphans.connection.close", lambda: None)
    assert not discard_unused("datasets/import-1-ab")
    assert default_storage.exists(left)


def test_look_alikes_of_two_lesions_are_brought_to_one_side_unless_told_otherwise(files: Path) -> None:
    given = source(files)
    assert given.images is not None
    apart = import_dataset(name="apart", source=dataclasses.replace(given, near_together=False))
    assert "near_together" not in apart.report["split"]
    together = import_dataset(name="together", source=given)
    gathered = together.report["split"]["near_together"]
    assert gathered["dealt_fingerprint"] == apart.split_fingerprint == dealt_fingerprint(together)
    crossing = apart.report["duplicates"]["near_across_splits_count"]
    assert together.report["duplicates"]["near_across_splits_count"] == 0
    dealt, now = (dict(each.examples.values_list("image", "split")) for each in (apart, together))
    assert {image: dealt[image] for image in dealt if dealt[image] != now[image]} == gathered["moved"]
    assert bool(gathered["moved"]) == bool(crossing)
    # A classifier trained on the split before that has learned from none of the test images.
    manifest = {"dataset": {"fingerprint": apart.fingerprint}, "split": {"fingerprint": apart.split_fingerprint}}
    assert contamination_of(manifest, together).kept


@pytest.mark.parametrize("saved", ["turned", "transparent"])
def test_training_sees_a_picture_as_serving_does(tmp_path: Path, saved: str) -> None:
    picture = Image.new("RGBA", (60, 40), (200, 30, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 30, 40))
    if saved == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.convert("RGB").save(tmp_path / "P.jpg", quality=95, exif=exif)
    else:
        picture.save(tmp_path / "P.png")
    with PictureStore(tmp_path) as pictures:
        seen = pictures.picture("P")
        assert seen.tobytes() == read_image(pictures.content("P"), limits=PICTURE_LIMITS).tobytes()
    assert seen.size == ((40, 60) if saved == "turned" else (60, 40))
    if saved == "transparent":
        assert seen.getpixel((5, 5)) == (255, 255, 255)


def test_a_surprise_is_recorded_and_raised(
    files: Path, administrator: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = requested(administrator)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("training.data.sealing.split_report", broken)
    with pytest.raises(ZeroDivisionError):
        run_import_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Job.Status.FAILED, "unexpected")
    assert "ZeroDivisionError" in job.failure_detail
    nothing_is_left(settings)


def test_uploads_are_imported_and_thrown_away(files: Path, administrator: User, settings: Any) -> None:
    def upload(name: str) -> File[Any]:
        return ContentFile((files / name).read_bytes(), name=name)

    job = requested(
        administrator,
        ground_truth=upload("ISIC_2019_Training_GroundTruth.csv"),
        metadata=upload("ISIC_2019_Training_Metadata.csv"),
        images=upload("ISIC_2019_Training_Input.zip"),
    )
    assert len(stored("imports")) == 3
    sweep_files()
    assert len(stored("imports")) == 3, "still needed"
    run_import_job(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED
    sweep_files()
    assert stored("imports") == []
    job.refresh_from_db()
    assert (job.ground_truth, job.images) == ("uploaded", "uploaded")


def test_requests_that_make_no_sense_are_refused_at_their_field(files: Path, administrator: User) -> None:
    def field_of(**changes: Any) -> str:
        with pytest.raises(JobRejected) as rejected:
            requested(administrator, **changes)
        return rejected.value.field

    assert field_of(name="  ") == "name"
    assert field_of(ground_truth="made/ISIC_2019_Training_Metadata.csv") == "ground_truth"
    assert field_of(ground_truth=ContentFile(b"\xff\xd8\xff", name="photo.csv")) == "ground_truth"
    assert field_of(images="made/nowhere.zip") == "images"
    assert field_of(metadata="../secret.csv") == "metadata"
    requested(administrator)
    assert field_of() == "name"
    assert stored("imports") == []
    patient = User.objects.create_user("patient@example.org")
    with pytest.raises(NotAllowed):
        requested(patient, name="mine")


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../outside.csv", "/etc/passwd", "made/../../outside.csv", "link", "a\x00b"]
)
def test_nothing_outside_the_data_folder_can_be_named(files: Path, path: str) -> None:
    (files.parent.parent / "outside.csv").write_text("secret")
    (files.parent / "link").symlink_to(files.parent.parent / "outside.csv")
    with pytest.raises(ValueError, match="not in the data folder"):
        resolve_source(path)
    assert resolve_source("made").name == "made"


def test_the_listing_tells_what_each_file_is(files: Path) -> None:
    (files.parent / "download").mkdir()
    (files.parent / "download" / "metadata.csv").write_text("isic_id,attribution,copyright_license,diagnosis\n")
    (files.parent / "download" / "ISIC_1.jpg").write_bytes(b"x")
    (files.parent / ".hidden.csv").write_text("image")
    (files.parent / "notes.csv").write_text("a,b\n")
    kinds = {each.path: each.kind for each in available_sources()}
    assert kinds == {
        "download": "folder",
        "download/metadata.csv": "isic-cli",
        "made/ISIC_2019_Training_GroundTruth.csv": "ground-truth",
        "made/ISIC_2019_Training_Input.zip": "zip",
        "made/ISIC_2019_Training_Metadata.csv": "metadata",
        "notes.csv": "csv",
    }


def test_an_isic_cli_download_is_imported_in_the_same_way(tmp_path: Path, files: Path) -> None:
    folder = files.parent / "download"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["isic_id", "attribution", "copyright_license", "age_approx", "diagnosis_2", "diagnosis_3"])
        for number in range(12):
            (folder / f"ISIC_{number}.jpg").write_bytes(jpeg_bytes(made_picture("NV", number)))
            writer.writerow([f"ISIC_{number}", "a", "CC-0", 50, "Benign melanocytic proliferations", "Nevus"])
    dataset = import_dataset(name="cli", source=ImportSource(folder / "metadata.csv", images=folder))
    assert dataset.report["layout"] == "isic-cli" and dataset.example_count == 12
    assert dataset.licence == "ISIC archive: CC-0 (12)"
    assert set(dataset.examples.values_list("diagnosis", flat=True)) == {"NV"}


def test_a_data_set_is_deleted_with_its_files_unless_something_needs_it(files: Path, administrator: User) -> None:
    dataset = import_dataset(name="made", source=source(files))
    later = Dataset.objects.create(name="later", previous=dataset, fingerprint="f" * 64, example_count=0)
    with pytest.raises(DatasetInUse, match="later version"):
        delete_dataset(dataset=dataset, by=administrator)
    later.delete()
    with pytest.raises(NotAllowed):
        delete_dataset(dataset=dataset, by=User.objects.create_user("patient@example.org"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda run: run())
        delete_dataset(dataset=dataset, by=administrator)
    assert stored() == [] and not Example.objects.exists() and not KnownImage.objects.exists()


def test_an_attempt_to_add_photos_keeps_a_data_set_only_while_it_lasts(files: Path, administrator: User) -> None:
    dataset = import_dataset(name="made", source=source(files))
    job = request_version_with_photos(dataset=dataset, name="made v2", by=administrator)
    with pytest.raises(DatasetInUse, match="being made"):
        delete_dataset(dataset=dataset, by=administrator)
    run_import_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Job.Status.FAILED, "nothing_to_add")
    delete_dataset(dataset=dataset, by=administrator)
    job.refresh_from_db()
    assert job.previous is None and not Dataset.objects.exists()


def test_the_database_refuses_an_image_without_its_place(files: Path) -> None:
    from django.db import IntegrityError, transaction

    dataset = import_dataset(name="tables", source=source(files, images=False))
    with pytest.raises(IntegrityError), transaction.atomic():
        Example.objects.filter(dataset=dataset).update(sha256="a" * 64)
