"""Pictures in a folder or a zip: import, known images and batch classify accept and refuse the same files."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest
from django.core.management import call_command

from diagnoses.photos.models import KnownImage
from recognition.classify import Unreadable, classify_sources, find_sources, image_names
from recognition.datasets.known_images import fingerprint_images
from recognition.datasets.pictures import PICTURE_TYPES, PictureFiles, PictureStore
from recognition.datasets.problems import ExamplesError
from recognition.inference.runtime import LoadedClassifier
from recognition.sandbox import IntakeLimits, read_image
from recognition.taxonomy import CODES
from tests.factories import made_photo, write_dataset
from training.data.import_errors import DatasetImportError
from training.data.importing import ImportSource, import_dataset
from training.services.pictures import picture_of

MEMBER = "ISIC_1.jpg"
FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
def test_jpeg_png_and_webp_are_accepted_alike(
    db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """Data set import, known images and batch classify find the same pictures."""
    monkeypatch.setattr("training.data.exploration.draw", lambda _section: None)
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    folder = write_dataset(tmp_path / "isic", per_diagnosis=8)
    pictures = folder / "pictures"
    pictures.mkdir()
    with zipfile.ZipFile(folder / "ISIC_2019_Training_Input.zip") as archive:
        for number, name in enumerate(sorted(archive.namelist())):
            suffix = list(FORMATS)[number % 3]
            read_image(archive.read(name)).save((pictures / name).with_suffix(suffix), FORMATS[suffix])
    images = pictures
    if packed:
        images = folder / "mixed.zip"
        with zipfile.ZipFile(images, "w") as archive:
            for path in sorted(pictures.iterdir()):
                archive.write(path, path.name)
    truth = folder / "ISIC_2019_Training_GroundTruth.csv"

    dataset = import_dataset(
        name="mixed", source=ImportSource(truth, folder / "ISIC_2019_Training_Metadata.csv", images=images)
    )
    members = dataset.examples.order_by("image").values_list("image", "member")
    assert len(members) == 8 * len(CODES)
    assert {PurePosixPath(member).suffix for _image, member in members} == set(FORMATS)
    for image, member in members[:3]:
        found = picture_of(dataset, image)
        assert found is not None and found[1] == PICTURE_TYPES[PurePosixPath(member).suffix]

    call_command("import_known_images", images=images, ground_truth=truth, dataset="known")
    known = KnownImage.objects.filter(dataset="known").values_list("image", "original_sha256", "content_hash")
    imported = dataset.examples.values_list("image", "sha256", "content_hash")
    assert set(known) == set(imported)

    sources, passed_over = find_sources([images], limits=IntakeLimits())
    assert (len(sources), passed_over) == (len(members), 0)


def test_a_member_is_unpacked_no_further_than_it_may_be_large(tmp_path: Path) -> None:
    place = tmp_path / "bomb.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, bytes(1_000_000))
    with PictureFiles(place) as files:
        assert len(files.read(MEMBER, max_bytes=1000)) == 1001


def test_names_with_backslashes_are_read_everywhere(tmp_path: Path) -> None:
    """Zips of older Windows programs: the folder is part of the name, and a folder is a file without content."""
    place = tmp_path / "windows.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("Input\\", b"")
        archive.writestr(f"Input\\{MEMBER}", made_photo())
    with PictureStore(place) as store:
        assert list(store) == ["ISIC_1"] and store.name_of("ISIC_1") == f"Input/{MEMBER}"
        assert store.size_of("ISIC_1") == len(store.content("ISIC_1")) == len(made_photo())
    assert list(fingerprint_images(place, ["ISIC_1"])) == ["ISIC_1"]
    sources, passed_over = find_sources([place], limits=IntakeLimits())
    assert ([source.name for source in sources], passed_over) == ([f"{place}::Input/{MEMBER}"], 0)
    assert image_names([sources[0].name]) == ["ISIC_1"] and sources[0].read() == made_photo()


def test_one_file_under_both_spellings_is_there_twice(tmp_path: Path) -> None:
    place = tmp_path / "both.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for name in (f"a\\{MEMBER}", f"a/{MEMBER}"):
            archive.writestr(name, made_photo())
    with pytest.raises(ExamplesError, match="ISIC_1 is there twice"):
        PictureStore(place)


# --- Broken archives -------------------------------------------------------------------------------------------


def packed_with(method: int) -> bytearray:
    """A zip of one photo."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(MEMBER, made_photo())
    return bytearray(file.getvalue())


def spoiled(method: int) -> bytearray:
    """The compressed bytes of the photo are overwritten; both directories are intact."""
    content = packed_with(method)
    begin = 30 + len(MEMBER)
    content[begin : begin + 400] = b"\xff" * 400
    return content


def wrong_lzma_properties() -> bytearray:
    """The byte of the LZMA header that says how to decode what follows."""
    content = packed_with(zipfile.ZIP_LZMA)
    content[30 + len(MEMBER) + 4] = 0xFF
    return content


def in_both_headers(offset: int, value: int) -> bytearray:
    """A field of the local header and of the central directory (two bytes further on) with another value."""
    content = packed_with(zipfile.ZIP_STORED)
    struct.pack_into("<H", content, offset, value)
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + offset + 2, value)
    return content


def name_in_no_encoding() -> bytearray:
    """The name is marked as UTF-8 but is not."""
    content = in_both_headers(6, 0x800)
    return content.replace(MEMBER.encode(), b"\xff" * len(MEMBER))


def without_local_header() -> bytearray:
    content = packed_with(zipfile.ZIP_STORED)
    content[:4] = b"none"
    return content


def local_header_at_the_very_end() -> bytearray:
    """The directory entry points to the last ten bytes of the file."""
    content = packed_with(zipfile.ZIP_STORED)
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 42, len(content) - 10)
    return content


def cut_in_the_middle() -> bytearray:
    """The end of the photo is missing; the directory after it is intact."""
    content = packed_with(zipfile.ZIP_DEFLATED)
    directory = content.index(b"PK\x01\x02")
    del content[directory - 500 : directory]
    end = content.index(b"PK\x05\x06")
    struct.pack_into("<I", content, end + 16, directory - 500)
    return content


BROKEN: dict[str, Callable[[], bytes | bytearray]] = {
    "empty file": lambda: b"",
    "no zip": lambda: b"no zip",
    "cut off": lambda: packed_with(zipfile.ZIP_STORED)[:5000],
    "for a newer reader": lambda: in_both_headers(4, 99),
    "name in no encoding": name_in_no_encoding,
    "spoiled, stored": lambda: spoiled(zipfile.ZIP_STORED),
    "spoiled, deflate": lambda: spoiled(zipfile.ZIP_DEFLATED),
    "spoiled, bzip2": lambda: spoiled(zipfile.ZIP_BZIP2),
    "spoiled, lzma": lambda: spoiled(zipfile.ZIP_LZMA),
    "wrong lzma properties": wrong_lzma_properties,
    "encrypted": lambda: in_both_headers(6, 1),
    "unknown compression": lambda: in_both_headers(8, 19),
    "no local header": without_local_header,
    "local header at the very end": local_header_at_the_very_end,
    "cut in the middle": cut_in_the_middle,
}


def imported(place: Path) -> tuple[str, str]:
    """File and reason from the data set import."""
    truth = place.with_name("truth.csv")
    truth.write_text(f"image,{','.join(CODES)},UNK\nISIC_1,1,0,0,0,0,0,0,0,0\n")
    with pytest.raises(DatasetImportError) as caught:
        import_dataset(name="broken", source=ImportSource(truth, images=place))
    (problem,) = caught.value.problems
    return problem.file, problem.reason.removesuffix(" (truth.csv, line 2)")


def known(place: Path) -> tuple[str, str]:
    """File and reason from the import of known images."""
    with pytest.raises(ExamplesError) as caught:
        fingerprint_images(place, ["ISIC_1"])
    (problem,) = caught.value.problems
    return problem.file, problem.reason


def classified(place: Path) -> tuple[str, str]:
    """File and reason from batch classify."""
    try:
        sources, _passed_over = find_sources([place], limits=IntakeLimits())
    except ExamplesError as error:
        (problem,) = error.problems
        return problem.file, problem.reason
    # No picture of the zip can be read, so the classifier gets none.
    (answer,) = classify_sources(sources, loaded=cast(LoadedClassifier, None), limits=IntakeLimits())
    assert isinstance(answer, Unreadable) and answer.code == "unreadable"
    return answer.name.removeprefix(f"{place}::"), answer.detail


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_archive_is_the_same_error_everywhere(db: None, tmp_path: Path, settings: Any, kind: str) -> None:
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    place = tmp_path / "broken.zip"
    place.write_bytes(BROKEN[kind]())
    file, reason = imported(place)
    assert (known(place), classified(place)) == ((file, reason), (file, reason))
    opened = kind in ("empty file", "no zip", "cut off", "for a newer reader", "name in no encoding")
    assert file == ("broken.zip" if opened else MEMBER)
    assert reason.startswith("cannot be read as a folder or a zip file: " if opened else "cannot be read: ")
    assert not reason.endswith(": .")
