"""Reads one image of a sealed data set for a page: a member of a stored zip, not decoded."""

import zipfile
from pathlib import PurePosixPath

from django.core.files.storage import default_storage

from recognition.datasets.pictures import BROKEN_ARCHIVE, PICTURE_BYTES_MAX, PICTURE_TYPES, read_member
from recognition.datasets.problems import ExamplesError
from training.models import Dataset


def picture_of(dataset: Dataset, image: str) -> tuple[bytes, str] | None:
    """The file's bytes and content type (from `PICTURE_TYPES`); None if the picture is gone."""
    example = dataset.examples.filter(image=image, archive__isnull=False).select_related("archive").first()
    if example is None or example.archive is None:
        return None
    content_type = PICTURE_TYPES.get(PurePosixPath(example.member).suffix.lower())
    if content_type is None:
        return None
    try:
        with default_storage.open(example.archive.name, "rb") as file, zipfile.ZipFile(file) as archive:
            return read_member(archive, example.member, max_bytes=PICTURE_BYTES_MAX), content_type
    except (ExamplesError, KeyError, *BROKEN_ARCHIVE):
        return None
