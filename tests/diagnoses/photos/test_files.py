"""Deleting a photo deletes all its files, also those that no row refers to (RELIABILITY R15)."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage
from django.utils import timezone

from accounts.models import User
from diagnoses.photos.files import finish_erasure
from diagnoses.photos.models import ErasedFile, Photo
from diagnoses.photos.recovery import sweep
from diagnoses.photos.services import delete_photo


class Bucket(InMemoryStorage):
    """Like S3: names with slashes, no real folders, and deleting a missing file is no error."""

    def delete(self, name: str) -> None:
        try:
            super().delete(name)
        except (FileNotFoundError, OSError):
            return


@pytest.fixture(params=["disk", "bucket"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if request.param == "bucket":
        default_storage.exists("")  # initialises the lazy object
        monkeypatch.setattr(default_storage, "_wrapped", Bucket())
    yield default_storage


def later() -> None:
    """While a worker may still be writing."""
    past = timezone.now() - datetime.timedelta(seconds=3 * django_settings.PREDICTION_TIME_LIMIT)
    ErasedFile.objects.update(created=past, due=past)


def folder_of(photo: Photo) -> str:
    return str(photo.image.name).rpartition("/")[0]


def files(storage: Any, folder: str) -> list[str]:
    try:
        return sorted(storage.listdir(folder)[1])
    except FileNotFoundError:
        return []


def test_a_file_that_no_row_names_goes_too(
    transactional_db: None, storage: Any, patient: User, make_photo: Any
) -> None:
    photo, other = make_photo(patient), make_photo(patient)
    folder = folder_of(photo)
    storage.save(f"{folder}/heatmap-of-a-killed-worker.png", ContentFile(b"heat"))
    assert len(files(storage, folder)) == 3
    delete_photo(photo=photo, by=patient)
    assert files(storage, folder) == []
    assert len(files(storage, folder_of(other))) == 2, "nobody else's"


def test_a_worker_that_writes_after_the_deletion(
    transactional_db: None, redis_server: Any, storage: Any, patient: User, make_photo: Any
) -> None:
    photo = make_photo(patient)
    folder = folder_of(photo)
    delete_photo(photo=photo, by=patient)
    storage.save(f"{folder}/heatmap-too-late.png", ContentFile(b"heat"))
    assert finish_erasure() == 0, "it is not due"
    later()
    assert sweep().erased == 1
    assert files(storage, folder) == []
    assert not ErasedFile.objects.exists()


def test_files_elsewhere_go_by_name(transactional_db: None, patient: User, make_photo: Any) -> None:
    elsewhere = default_storage.save("photos/older/layout.jpg", ContentFile(b"x"))
    beside = default_storage.save("photos/older/neighbour.jpg", ContentFile(b"x"))
    photo = make_photo(patient, image=elsewhere)
    delete_photo(photo=photo, by=patient)
    assert not default_storage.exists(elsewhere)
    assert default_storage.exists(beside)
    default_storage.delete(beside)


def test_a_disk_keeps_no_empty_folder(transactional_db: None, patient: User, make_photo: Any) -> None:
    photo = make_photo(patient)
    folder = folder_of(photo)
    delete_photo(photo=photo, by=patient)
    assert not default_storage.exists(folder)
