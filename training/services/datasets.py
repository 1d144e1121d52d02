"""Data sets: seal one in one transaction, delete one that nothing depends on."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from diagnoses.photos.known_images import register_known_images
from diagnoses.photos.models import KnownImage
from training.models import Dataset, DatasetImport, Evaluation, EvaluationJob, Example, ImageArchive, TrainingRun
from training.services.jobs import require_administrator

BATCH: Final = 2000
FOLDER: Final = "datasets"


class DatasetInUse(Exception):
    """The data set cannot be deleted, because something was made from it; the message says what."""


class PartGone(Exception):
    """A part of a joined data set was deleted before the joined data set was written."""


@dataclass(slots=True)
class NewDataset:
    """A whole data set before it is written: the row with all fields, its examples, and its new archive if any.

    `dataset` of the examples is not set yet, nor `archive` of those whose image is in the new archive. `parts` are the
    keys of the data sets that it joins, whose archives it uses.
    """

    dataset: Dataset
    examples: list[Example]
    archive: ImageArchive | None = None
    in_new_archive: set[str] = field(default_factory=set)
    parts: list[int] = field(default_factory=list)


def seal_dataset(new: NewDataset, *, by: User | None) -> Dataset:
    """Write the data set, its examples and the known images, so that uploads of them are recognised. All or nothing.

    Raises NotAllowed, PartGone if a data set that is joined was deleted meanwhile, and IntegrityError if the name was
    taken.
    """
    require_administrator(by)
    with transaction.atomic():
        if len(Dataset.objects.select_for_update().filter(pk__in=new.parts).order_by("pk")) < len(new.parts):
            raise PartGone
        if new.archive is not None:
            new.archive.save(force_insert=True)
        new.dataset.created_by = by
        new.dataset.save(force_insert=True)
        for example in new.examples:
            example.dataset = new.dataset
            if example.image in new.in_new_archive:
                example.archive = new.archive
        Example.objects.bulk_create(new.examples, batch_size=BATCH)
        register_known_images(_recognisable(new.dataset, new.examples))
    return new.dataset


def delete_dataset(*, dataset: Dataset, by: User | None) -> None:
    """Delete a data set, its files and its known images.

    A joined data set leaves its parts their archives. Raises NotAllowed, and DatasetInUse if a run, an evaluation, a
    later version or a joined data set needs it.
    """
    require_administrator(by)
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
        for model, said in (
            (TrainingRun, _("training runs")),
            (Evaluation, _("evaluations")),
        ):
            if model._default_manager.filter(dataset=dataset).exists():
                raise DatasetInUse(_("%(what)s were made with this data set.") % {"what": said.capitalize()})
        if dataset.versions.exists():
            raise DatasetInUse(_("A later version was made from this data set."))
        joined = list(joined_from(dataset).values_list("name", flat=True))
        if joined:
            raise DatasetInUse(
                _("The joined data set %(names)s uses its images. Delete that one first.")
                % {"names": ", ".join(joined)}
            )
        if EvaluationJob.objects.filter(dataset=dataset).active().exists():
            raise DatasetInUse(_("A classifier is being measured on it."))
        additions = DatasetImport.objects.filter(previous=dataset)
        if additions.active().exists():
            raise DatasetInUse(_("A new version with photos is being made from it."))
        if DatasetImport.objects.filter(parts=dataset).active().exists():
            raise DatasetInUse(_("It is being joined with other data sets."))
        # Imports that ended without a version, or whose version was deleted, do not need it any more.
        additions.update(previous=None)
        archives = list(ImageArchive.objects.filter(examples__dataset=dataset).distinct())
        chart_files = files_of(dataset)
        KnownImage.objects.filter(dataset=dataset.name).delete()
        dataset.delete()
        unused = [archive for archive in archives if not archive.examples.exists()]
        for archive in unused:
            archive.delete()
        names = [*chart_files, *(archive.name for archive in unused)]
        transaction.on_commit(lambda: _delete_files(names))


def joined_from(dataset: Dataset) -> QuerySet[Dataset]:
    """The joined data sets that `dataset` is a part of."""
    return Dataset.objects.filter(report__joined__parts__contains=[{"id": dataset.pk}]).order_by("name")


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes of a data set's image archives. `shared` of them are of archives that `others` (names) use too."""

    total: int
    shared: int
    others: tuple[str, ...]


def disk_use(dataset: Dataset) -> DiskUse:
    """How much room the images of a data set take on the storage, and how much of it other data sets use as well."""
    archives = ImageArchive.objects.filter(Exists(dataset.examples.filter(archive=OuterRef("pk"))))
    elsewhere = Example.objects.exclude(dataset=dataset)
    shared = archives.filter(Exists(elsewhere.filter(archive=OuterRef("pk"))))
    others = Dataset.objects.filter(Exists(elsewhere.filter(dataset=OuterRef("pk"), archive__in=shared)))
    return DiskUse(
        total=sum(archives.values_list("size", flat=True)),
        shared=sum(shared.values_list("size", flat=True)),
        others=tuple(others.order_by("name").values_list("name", flat=True)),
    )


def store_exploration(dataset: Dataset, eda: dict[str, Any]) -> None:
    """Replace figures and charts by newly computed ones; the old files are deleted after the commit."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        old = files_of(locked)
        locked.eda = eda
        locked.save(update_fields=["eda"])
        gone = sorted(set(old) - set(files_of(locked)))
        transaction.on_commit(lambda: _delete_files(gone))


def files_of(dataset: Dataset) -> list[str]:
    """Storage names of the charts of a data set."""
    charts = (dataset.eda or {}).get("charts", {})
    return [name for files in charts.values() for name in files.values()]


def _recognisable(dataset: Dataset, examples: Iterable[Example]) -> list[KnownImage]:
    """The imported images with one of the eight diagnoses.

    Not patients' photos: those are private and must not be shown to others.
    """
    return [
        KnownImage(
            dataset=dataset.name,
            image=example.image,
            diagnosis=example.diagnosis,
            lesion=example.lesion_id,
            original_sha256=example.sha256,
            content_hash=example.content_hash,
        )
        for example in examples
        if example.sha256 and example.diagnosis and example.photo is None
    ]


def _delete_files(names: Iterable[str]) -> None:
    folders = set()
    for name in names:
        default_storage.delete(name)
        folders.add(name.rpartition("/")[0])
    for folder in folders:
        # Only disks have folders. A folder may still hold the archive that a later version reads.
        with contextlib.suppress(OSError):
            folders_inside, files_inside = default_storage.listdir(folder)
            if not folders_inside and not files_inside:
                default_storage.delete(folder)
