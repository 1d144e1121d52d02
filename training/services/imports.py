"""Imports as an administrator sees them: list the source files, queue an import, store uploads until it has ended.

This runs in the web process, so it reads only the first line of a file. `training.worker.importing` does the work.
"""

import csv
import functools
import operator
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from recognition.datasets.csv_files import columns_of, read_header
from recognition.datasets.layouts import (
    GROUND_TRUTH_COLUMNS,
    METADATA_COLUMNS,
    TEST_COLUMNS,
    TEST_METADATA_COLUMNS,
    has_diagnosis,
    is_isic_cli,
    is_milk10k,
    is_pad_ufes,
)
from recognition.datasets.pictures import is_picture
from training.models import Dataset, DatasetImport, Job
from training.services.jobs import JobRejected, announce, require_administrator

UPLOAD: Final = "upload:"
UPLOAD_FOLDER: Final = "imports"
NAME_LENGTH: Final = 100
# The list of source files looks this deep into the data folder and at no more than so many entries.
LISTING_DEPTH: Final = 3
LISTING_LIMIT: Final = 2000
SOURCES: Final = {
    "ground_truth": "ground_truth.csv",
    "metadata": "metadata.csv",
    "supplement": "supplement.csv",
    "images": "images.zip",
    "same_lesion": "same_lesion.csv",
    "leave_out": "leave_out.csv",
}
"""Columns of an import that hold a source file, with the name that an upload gets."""

_Layout = DatasetImport.Layout
_ONE_TABLE: Final = frozenset({_Layout.ISIC_CLI, _Layout.PAD_UFES})
"""Layouts whose table of diagnoses holds the metadata as well."""
# Columns by which these tables are known; they have more.
_MILK10K_METADATA: Final = frozenset({"lesion_id", "isic_id", "image_type"})
_MILK10K_SUPPLEMENT: Final = frozenset({"isic_id", "diagnosis_full"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file or folder of the data folder that an import may use.

    `path` is relative to TRAINING_DATA_DIR; `kind` is "ground-truth", "metadata", "supplement", "isic-cli",
    "pad-ufes-20", "lesions", "csv", "zip" or "folder".
    """

    path: str
    kind: str

    @property
    def folder(self) -> str:
        """The folder above it, for grouping; empty at the top."""
        return str(Path(self.path).parent) if "/" in self.path else ""


def available_sources() -> list[SourceFile]:
    """The source files of the data folder, in path order; empty if there is no such folder."""
    root = Path(settings.TRAINING_DATA_DIR)
    found: list[SourceFile] = []
    seen = 0
    waiting = [(root, 0)]
    while waiting and seen < LISTING_LIMIT:
        folder, depth = waiting.pop(0)
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        pictures = False
        for entry in entries:
            if entry.name.startswith("."):
                continue
            suffix = entry.suffix.lower()
            if is_picture(entry.name):
                # A folder may hold 25,000 pictures; one is enough to list it.
                pictures = True
                continue
            seen += 1
            name = str(entry.relative_to(root))
            if suffix == ".csv" and entry.is_file():
                found.append(SourceFile(name, _kind_of(entry)))
            elif suffix == ".zip" and entry.is_file():
                found.append(SourceFile(name, "zip"))
            elif entry.is_dir() and depth < LISTING_DEPTH:
                waiting.append((entry, depth + 1))
        if pictures and folder != root:
            found.append(SourceFile(str(folder.relative_to(root)), "folder"))
    return sorted(found, key=lambda source: source.path)


def resolve_source(text: str) -> Path:
    """The file or folder of the data folder that `text` names. Raises ValueError for anything outside it or missing."""
    root = Path(settings.TRAINING_DATA_DIR).resolve()
    try:
        path = (root / text).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(_("“%(path)s” is not in the data folder.") % {"path": text}) from error
    if not text or path == root or not path.is_relative_to(root):
        raise ValueError(_("“%(path)s” is not in the data folder.") % {"path": text})
    return path


def request_import(
    *,
    by: User | None,
    name: str,
    ground_truth: str | File[Any],
    metadata: str | File[Any] = "",
    supplement: str | File[Any] = "",
    images: str | File[Any] = "",
    split_seed: int = 2019,
    leave_out_unmapped: bool = False,
    near_together: bool = True,
) -> DatasetImport:
    """Queue an import. Each source is a path in the data folder, or an uploaded file, which is stored until the end.

    Raises NotAllowed, and JobRejected with the field that is wrong: a name that is taken, a path outside the
    data folder, a file that is no ground truth, a file that the layout needs or does not have.
    """
    require_administrator(by)
    name = name.strip()
    _check_name(name)
    layout = _layout_of(ground_truth)
    _check_files(layout, metadata=metadata, supplement=supplement)
    return _queue(
        DatasetImport(
            name=name,
            layout=layout,
            requested_by=by,
            split_seed=split_seed,
            leave_out_unmapped=leave_out_unmapped,
            near_together=near_together,
        ),
        {"ground_truth": ground_truth, "metadata": metadata, "supplement": supplement, "images": images},
    )


def request_join(
    *,
    by: User | None,
    name: str,
    parts: Sequence[Dataset],
    same_lesion: str | File[Any] = "",
    leave_out: str | File[Any] = "",
) -> DatasetImport:
    """Queue the joining of `parts` into a new data set.

    `same_lesion` is a table of lesions that have an id in each of two data sets, `leave_out` a table of lesions to
    leave out: paths in the data folder, or uploads. Raises NotAllowed, and JobRejected with the field that is wrong.
    """
    require_administrator(by)
    name = name.strip()
    _check_name(name)
    if len({part.pk for part in parts}) < 2:
        raise JobRejected("parts", _("Choose at least two data sets."))
    for field, source, known, said in (
        ("same_lesion", same_lesion, is_same_lesion, _("two columns that end in “lesion_id”")),
        ("leave_out", leave_out, lambda columns: "lesion_id" in columns, _("the column “lesion_id”")),
    ):
        if source and not known(header := _header(field, source)):
            raise JobRejected(
                field,
                _("This table lacks %(columns)s; its first line is “%(found)s”.")
                % {"columns": said, "found": ",".join(header)[:200]},
            )
    job = DatasetImport(name=name, layout=_Layout.JOINED, requested_by=by)
    return _queue(job, {"same_lesion": same_lesion, "leave_out": leave_out}, parts)


def request_version_with_photos(*, dataset: Dataset, name: str, by: User | None) -> DatasetImport:
    """Queue a new sealed version of `dataset` with the confirmed photos of consenting patients.

    Raises NotAllowed, and JobRejected if the name is taken or the data set has no images.
    """
    require_administrator(by)
    name = name.strip()
    _check_name(name)
    if not dataset.has_images:
        raise JobRejected("name", _("This data set has tables only; photos can be added to one with images."))
    with transaction.atomic():
        job = DatasetImport.objects.create(
            name=name,
            layout=DatasetImport.Layout.CONFIRMED_PHOTOS,
            previous=dataset,
            split_seed=dataset.split_seed if dataset.split_seed is not None else 2019,
            requested_by=by,
        )
        announce(job)
    return job


def discard_uploads() -> int:
    """Delete the uploaded files of imports that have ended. The sweep calls it. Returns how many imports."""
    uploaded = functools.reduce(operator.or_, (Q(**{f"{field}__startswith": UPLOAD}) for field in SOURCES))
    ended = DatasetImport.objects.exclude(status__in=[Job.Status.QUEUED, Job.Status.RUNNING]).filter(uploaded)
    count = 0
    for job in ended:
        _discard(getattr(job, field) for field in SOURCES)
        # "uploaded" stays in the row and says that there was an upload.
        gone = {field: "uploaded" for field in SOURCES if getattr(job, field).startswith(UPLOAD)}
        DatasetImport.objects.filter(pk=job.pk).update(**gone)
        count += 1
    return count


def _check_name(name: str) -> None:
    if not name:
        raise JobRejected("name", _("Give the data set a name."))
    if len(name) > NAME_LENGTH:
        raise JobRejected("name", _("A name has at most %(n)s characters.") % {"n": NAME_LENGTH})
    if Dataset.objects.filter(name=name).exists():
        raise JobRejected("name", _("There is a data set of this name already. Choose another name."))
    if DatasetImport.objects.filter(name=name, status__in=[Job.Status.QUEUED, Job.Status.RUNNING]).exists():
        raise JobRejected("name", _("An import of this name is already on its way."))


def _check_files(layout: DatasetImport.Layout, *, metadata: str | File[Any], supplement: str | File[Any]) -> None:
    """Raise JobRejected where a file is missing that the layout needs, or given although the layout has none."""
    if layout in _ONE_TABLE and metadata:
        raise JobRejected(
            "metadata",
            _("A table of %(layout)s already holds the metadata. Leave the metadata file empty.")
            % {"layout": layout.label},
        )
    if layout != _Layout.MILK10K:
        if supplement:
            raise JobRejected("supplement", _("Only MILK10k has a supplement. Leave the file empty."))
        return
    if not metadata:
        raise JobRejected("metadata", _("Choose MILK10k_Training_Metadata.csv: it names the two pictures of a lesion."))
    if not supplement:
        raise JobRejected(
            "supplement",
            _("Choose MILK10k_Training_Supplement.csv: it tells actinic keratosis from squamous cell carcinoma."),
        )


def _queue(job: DatasetImport, sources: Mapping[str, str | File[Any]], parts: Sequence[Dataset] = ()) -> DatasetImport:
    """Store the uploads among `sources`, write the row and announce it. A failure leaves neither row nor upload."""
    for field, source in sources.items():
        if isinstance(source, str) and source:
            _resolved(field, source)
    folder = f"{UPLOAD_FOLDER}/{uuid.uuid4().hex}"
    kept: list[str] = []
    try:
        for field, source in sources.items():
            kept.append(source if isinstance(source, str) else _keep(source, f"{folder}/{SOURCES[field]}", field))
            setattr(job, field, kept[-1])
        with transaction.atomic():
            job.save(force_insert=True)
            job.parts.set(parts)
            announce(job)
    except BaseException:
        _discard(kept)
        raise
    return job


def _header(field: str, source: str | File[Any]) -> tuple[str, ...]:
    return read_header(_resolved(field, source)) if isinstance(source, str) else _uploaded_header(source)


def _layout_of(ground_truth: str | File[Any]) -> DatasetImport.Layout:
    if not ground_truth:
        raise JobRejected("ground_truth", _("Choose the table with the diagnoses."))
    columns = _header("ground_truth", ground_truth)
    layout = _layout_by_header(columns)
    if layout is None:
        raise JobRejected(
            "ground_truth",
            _(
                "This is not a table of diagnoses: its first line is “%(found)s”. Expected is “%(expected)s”, the "
                "ground truth of MILK10k, or the metadata.csv of PAD-UFES-20 or of an isic-cli download."
            )
            % {"found": ",".join(columns)[:200], "expected": ",".join(GROUND_TRUTH_COLUMNS)},
        )
    return layout


def _layout_by_header(columns: tuple[str, ...]) -> DatasetImport.Layout | None:
    """The layout of which this is the header of the table with the diagnoses; None if it is no such table."""
    if is_milk10k(columns):
        return _Layout.MILK10K
    if is_pad_ufes(columns):
        return _Layout.PAD_UFES
    if is_isic_cli(columns) and has_diagnosis(columns):
        return _Layout.ISIC_CLI
    return _Layout.ISIC2019 if columns in (GROUND_TRUTH_COLUMNS, TEST_COLUMNS) else None


def is_same_lesion(columns: tuple[str, ...]) -> bool:
    """Whether this is the header of a table of lesions that have an id in each of two data sets."""
    return sum(name.endswith("lesion_id") for name in columns) == 2


def _uploaded_header(file: File[Any]) -> tuple[str, ...]:
    file.seek(0)
    first = bytes(file.readline(10_000))
    file.seek(0)
    try:
        return columns_of(first.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error):
        return ()


def _kind_of(path: Path) -> str:
    columns = read_header(path)
    layout = _layout_by_header(columns)
    if layout is not None:
        return layout.value if layout in _ONE_TABLE else "ground-truth"
    if columns in (METADATA_COLUMNS, TEST_METADATA_COLUMNS) or _MILK10K_METADATA.issubset(columns):
        return "metadata"
    if _MILK10K_SUPPLEMENT.issubset(columns):
        return "supplement"
    return "lesions" if is_same_lesion(columns) else "csv"


def _resolved(field: str, text: str) -> Path:
    try:
        return resolve_source(text)
    except ValueError as error:
        raise JobRejected(field, str(error)) from error


def _keep(file: File[Any], name: str, field: str) -> str:
    try:
        return f"{UPLOAD}{default_storage.save(name, file)}"
    except OSError as error:
        raise JobRejected(
            field, _("The upload could not be stored: %(reason)s.") % {"reason": error.strerror or error}
        ) from error


def _discard(sources: Any) -> None:
    for source in sources:
        if source.startswith(UPLOAD):
            default_storage.delete(source.removeprefix(UPLOAD))


def open_upload(source: str) -> IO[bytes]:
    """The stored upload behind a source that starts with `UPLOAD`."""
    return default_storage.open(source.removeprefix(UPLOAD), "rb")
