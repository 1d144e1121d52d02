"""New versions of a data set: the earlier images, and photos whose patients agreed and whose diagnosis is confirmed.

The conditions are narrow on purpose. A photo is added only if

- its owner is an active patient whose consent to training is in force (`User.training_consent`). Photos of clinicians'
  and administrators' accounts stay out: nobody knows whose skin they show, nor whether that person agreed;
- a clinician or a pathologist recorded a diagnosis (the newest histopathology, else the newest clinician's finding);
- the data set does not hold the same picture, byte for byte or to the eye: that would leak.

Photos of one patient stay on one side of the split. Their examples carry a pseudonym of the patient as `patient_id`,
which tells the patient after the photo is deleted. None goes to the test split, which does not change, so that
classifiers of both versions can be compared. A share of the patients can be held out instead (`hold_out_photos`): their
photos become a data set of its own that only tests classifiers, and no version gets a photo of these patients, nor a
picture that such a data set holds.

Photos of an earlier version are checked again: if the owner is no active patient any more, withdrew the consent or
deleted the photo, the new version leaves the photo out. Sealed versions do not change; to erase a patient's pixels from
them, delete the versions (docs/data.md).
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from django.core.files.storage import default_storage
from django.db.models import QuerySet

from accounts.models import Role, User
from diagnoses.photos.models import Photo
from recognition.datasets.splits import extend_split, split_groups
from recognition.progress import Progress, Report, silent
from recognition.sandbox import SAME_PICTURE_DISTANCE, hash_distance
from training.data import sealing
from training.data.archive import ArchiveWriter
from training.data.import_errors import DatasetImportError
from training.models import Dataset, Example
from training.services.datasets import NewDataset
from training.services.orphans import discard_unused, shell_folder

NAME: Final = "TERI_"
"""Image names of photos begin with this, so that they differ from names of the ISIC archive."""

_PATIENT: Final = "patient of a photo:"
"""Prefix of what pseudonyms are digests of. Sealed data sets hold them: a change would make patients unknown."""

_PSEUDONYM_DIGITS: Final = 24

_ROW: Final = (
    "image", "diagnosis", "image_type", "age_approx", "anatom_site_general", "lesion_id", "patient_id", "sex",
    "details", "sha256", "content_hash", "width", "height", "member", "archive_id", "photo", "split",
)  # fmt: skip


def add_confirmed_photos(
    *, dataset: Dataset, name: str, by: User | None, work: Path, report: Report = silent
) -> Dataset:
    """Make and seal the new version in the foreground; `work` is an empty folder for temporary files.

    A version may also only leave photos out, because their patients withdrew. Raises NotAllowed, and
    DatasetImportError ("nothing_to_add" if no photo can be added and none must be left out).
    """
    folder = shell_folder()
    try:
        new = prepare_version(dataset, name=name, folder=folder, work=work, report=report)
        return sealing.write(new, by=by)
    except BaseException:
        discard_unused(folder)
        raise


def prepare_version(previous: Dataset, *, name: str, folder: str, work: Path, report: Report) -> NewDataset:
    """Prepare the new version without writing rows. Raises DatasetImportError."""
    sealing.refuse_taken(name)
    report(Progress("tables", 0, 1))
    left_out: Counter[str] = Counter()
    before = rows_of(previous)
    table = still_allowed(before)
    if len(table) < len(before):
        left_out["consent withdrawn or photo deleted since the version before"] = len(before) - len(table)
    report(Progress("tables", 1, 1))
    archive_file = work / "archive.zip"
    photos = _confirmed(table)
    tested = _photo_examples(testing=True)
    added = _gather(
        table,
        _not_held_out(photos, left_out),
        other_side=tested,
        archive_file=archive_file,
        left_out=left_out,
        report=report,
    )
    if not added and len(table) == len(before):
        said = "; ".join(f"{reason}: {number}" for reason, number in left_out.items())
        raise DatasetImportError(
            "nothing_to_add",
            "No photo can be added: it takes a confirmed diagnosis, and a patient who agreed to training. "
            f"{f'Left out: {said}. ' if said else ''}No new version was made.",
        )
    existing = {image: split for image, split in zip(table["image"], table["split"], strict=True) if split}
    whole = table
    if added:
        whole = pd.concat([table, pd.DataFrame.from_records(added, columns=list(_ROW))], ignore_index=True)
    whole = whole.astype({"age_approx": float}).sort_values("image", kind="stable").reset_index(drop=True)
    for column in ("anatom_site_general", "lesion_id", "patient_id", "sex", "photo", "archive_id"):
        words = whole[column].astype(object)
        whole[column] = words.where(words.notna(), None)
    seed = previous.split_seed or 0
    split = extend_split(existing, whole, groups=_groups(whole), seed=seed)
    return sealing.seal(
        whole.drop(columns="split"),
        name=name,
        folder=folder,
        report_so_far={
            "sources": {},
            "layout": "photos",
            "notes": {},
            "added": {
                "photos": len(added),
                "patients": len({row["owner"] for row in added}),
                "left_out": dict(left_out),
                "findings": {row["image"]: row["source"] for row in added},
            },
        },
        report=report,
        seed=seed,
        split=split,
        archive_file=archive_file if added else None,
        previous=previous,
        licence=previous.licence,
    )


def hold_out_photos(
    *, name: str, share: float, seed: int, by: User | None, work: Path, report: Report = silent
) -> Dataset:
    """Make a local test set in the foreground; `work` is an empty folder for temporary files.

    Raises NotAllowed, and DatasetImportError ("nothing_to_add" if there is no patient to hold out).
    """
    folder = shell_folder()
    try:
        new = prepare_held_out(name=name, share=share, seed=seed, folder=folder, work=work, report=report)
        return sealing.write(new, by=by)
    except BaseException:
        discard_unused(folder)
        raise


def prepare_held_out(*, name: str, share: float, seed: int, folder: str, work: Path, report: Report) -> NewDataset:
    """Prepare a local test set without writing rows: all confirmed photos of a `share` of the patients.

    Patients of whom a data set for training has a photo cannot be held out any more. Those who are held out by another
    local test set are chosen first. Raises DatasetImportError.
    """
    sealing.refuse_taken(name)
    report(Progress("tables", 0, 1))
    left_out: Counter[str] = Counter()
    nothing = pd.DataFrame(columns=list(_ROW))
    photos = []
    learned, held = owners_by_use()
    for photo in _confirmed(nothing):
        if _pseudonym(photo.owner_id) in learned:
            left_out["a data set for training holds photos of the patient"] += 1
        elif photo.recognised_as is not None:
            left_out["the photo is an image of an imported data set"] += 1
        else:
            photos.append(photo)
    patients = sorted(
        {photo.owner_id for photo in photos}, key=lambda owner: (_pseudonym(owner) not in held, _draw(seed, owner))
    )
    chosen = set(patients[: max(round(share * len(patients)), 1)])
    report(Progress("tables", 1, 1))
    archive_file = work / "archive.zip"
    learned_photos = _photo_examples(testing=False)
    mine = [photo for photo in photos if photo.owner_id in chosen]
    added = _gather(
        nothing, mine, other_side=learned_photos, archive_file=archive_file, left_out=left_out, report=report
    )
    if not added:
        said = "; ".join(f"{reason}: {number}" for reason, number in left_out.items())
        raise DatasetImportError(
            "nothing_to_add",
            "No patient can be held out: it takes confirmed photos of patients who agreed to training. "
            f"{f'Left out: {said}. ' if said else ''}No data set was made.",
        )
    table = pd.DataFrame.from_records(added, columns=list(_ROW)).sort_values("image").reset_index(drop=True)
    return sealing.seal(
        table.astype({"age_approx": float}).drop(columns="split"),
        name=name,
        folder=folder,
        report_so_far={
            "sources": {},
            "layout": "photos",
            "notes": {"test_set": True},
            "added": {
                "photos": len(added),
                "patients": len({row["owner"] for row in added}),
                "patients_asked": len(patients),
                "left_out": dict(left_out),
                "findings": {row["image"]: row["source"] for row in added},
            },
        },
        report=report,
        seed=seed,
        test_only=True,
        archive_file=archive_file,
        licence="",
    )


def owners_by_use() -> tuple[set[str], set[str]]:
    """Pseudonyms of the owners of photos that data sets hold: for training, and for testing only."""
    return _owners(_photo_examples(testing=False)), _owners(_photo_examples(testing=True))


def _photo_examples(*, testing: bool) -> QuerySet[Example]:
    """The examples of all data sets that were made from photos: those of test splits, or all others."""
    photos = Example.objects.filter(photo__isnull=False)
    return photos.filter(split=Example.Split.TEST) if testing else photos.exclude(split=Example.Split.TEST)


def _owners(examples: QuerySet[Example]) -> set[str]:
    named = set(examples.exclude(patient_id="").values_list("patient_id", flat=True))
    # Examples sealed by earlier releases name no patient; while the photo exists, it tells the owner.
    unnamed = Photo.objects.filter(pk__in=examples.filter(patient_id="").values("photo"))
    return named | {_pseudonym(owner) for owner in unnamed.values_list("owner_id", flat=True)}


def rows_of(dataset: Dataset) -> pd.DataFrame:
    """All rows of a data set, sorted by image: the sealed columns and `split`. Missing words are None."""
    table = pd.DataFrame.from_records(list(dataset.examples.order_by("image").values_list(*_ROW)), columns=list(_ROW))
    table["age_approx"] = pd.to_numeric(table["age_approx"])
    for column in ("anatom_site_general", "lesion_id", "patient_id", "sex"):
        words = table[column].astype(object)
        table[column] = words.where(words != "", None)
    return table


def still_allowed(table: pd.DataFrame) -> pd.DataFrame:
    """`table` without photos that were deleted or whose patient no longer agrees; the other photos name the patient."""
    photos = [photo for photo in table["photo"] if photo is not None]
    owner = dict(_agreed().filter(pk__in=photos).values_list("pk", "owner_id"))
    keep = table["photo"].map(lambda photo: photo is None or photo in owner).astype(bool)
    kept = table[keep].reset_index(drop=True)
    patients = [
        patient if photo is None else _pseudonym(owner[photo])
        for patient, photo in zip(kept["patient_id"], kept["photo"], strict=True)
    ]
    return kept.assign(patient_id=pd.Series(patients, index=kept.index, dtype=object))


def _agreed() -> Any:
    """Photos of active patients who agree to training."""
    return Photo.objects.filter(owner__role=Role.PATIENT, owner__is_active=True, owner__training_consent__isnull=False)


def _confirmed(table: pd.DataFrame) -> list[Photo]:
    """The confirmed photos of people who agreed, oldest first, without those of `table`."""
    there = [photo for photo in table["photo"] if photo is not None]
    found = _agreed().exclude(pk__in=there).filter(findings__isnull=False).distinct().order_by("created", "pk")
    return list(found.prefetch_related("findings").select_related("recognised_as"))


def _not_held_out(photos: Sequence[Photo], left_out: Counter[str]) -> list[Photo]:
    held = owners_by_use()[1]
    stays = [photo for photo in photos if _pseudonym(photo.owner_id) not in held]
    if len(stays) < len(photos):
        left_out["the patient is held out to test classifiers"] = len(photos) - len(stays)
    return stays


def _gather(
    table: pd.DataFrame,
    photos: list[Photo],
    *,
    other_side: QuerySet[Example],
    archive_file: Path,
    left_out: Counter[str],
    report: Report,
) -> list[dict[str, Any]]:
    """The rows of those of `photos` that may be added to `table`, their images in the archive.

    A picture of `other_side` is left out: it would be both learned and tested.
    """
    hashes = [bytes(each) for each in table["content_hash"] if each is not None]
    digests = set(table["sha256"])
    opposite = list(other_side.values_list("sha256", "content_hash").distinct())
    opposite_hashes = [bytes(each) for _, each in opposite]
    opposite_digests = {digest for digest, _ in opposite}
    disputed = _disputed(table, photos)
    added: list[dict[str, Any]] = []
    with ArchiveWriter(archive_file) as archive:
        for done, photo in enumerate(photos, start=1):
            report(Progress("pictures", done, len(photos)))
            finding = photo.deciding_finding()
            assert finding is not None
            if photo.lesion_id in disputed:
                left_out["photos of this lesion were confirmed as different diagnoses"] += 1
                continue
            if _is_there(photo, digests, hashes):
                left_out["the same picture is in the data set already"] += 1
                continue
            if _is_there(photo, opposite_digests, opposite_hashes):
                left_out["the same picture is on the other side, learned or held out"] += 1
                continue
            try:
                with default_storage.open(str(photo.image), "rb") as file:
                    content = file.read()
            except FileNotFoundError:
                left_out["the image is missing on the storage"] += 1
                continue
            image = f"{NAME}{photo.pk.hex}"
            archive.add(f"{image}.jpg", content)
            hashes.append(photo.content_hash)
            digests.add(photo.sha256)
            added.append(
                {
                    "image": image,
                    "diagnosis": finding.diagnosis,
                    "image_type": photo.image_type,
                    "patient_id": _pseudonym(photo.owner_id),
                    "details": {},
                    "age_approx": photo.age_approx,
                    "anatom_site_general": photo.anatom_site_general or None,
                    # Photos of one spot are one lesion, as in the ISIC tables.
                    "lesion_id": _lesion_name(photo.lesion_id) if photo.lesion_id else None,
                    "sex": photo.sex or None,
                    "sha256": photo.sha256,
                    "content_hash": photo.content_hash,
                    "width": photo.width,
                    "height": photo.height,
                    "member": f"{image}.jpg",
                    "archive_id": None,
                    "photo": photo.pk,
                    "split": None,
                    "owner": photo.owner_id,
                    "source": finding.source,
                }
            )
    return added


def _is_there(photo: Photo, digests: Collection[str], hashes: Sequence[bytes]) -> bool:
    """Whether a picture of these is the photo, byte for byte or to the eye."""
    if photo.sha256 in digests or photo.original_sha256 in digests:
        return True
    return any(hash_distance(photo.content_hash, each) <= SAME_PICTURE_DISTANCE for each in hashes)


def _disputed(table: pd.DataFrame, photos: list[Photo]) -> set[uuid.UUID]:
    """Lesions whose photos carry more than one diagnosis, here or in the version before."""
    said: dict[str, set[str]] = {}
    for lesion, diagnosis in zip(table["lesion_id"], table["diagnosis"], strict=True):
        said.setdefault(lesion or "", set()).add(diagnosis)
    lesions = {photo.lesion_id for photo in photos if photo.lesion_id is not None}
    for photo in photos:
        finding = photo.deciding_finding()
        if photo.lesion_id is not None and finding is not None:
            said.setdefault(_lesion_name(photo.lesion_id), set()).add(finding.diagnosis)
    return {lesion for lesion in lesions if len(said[_lesion_name(lesion)]) > 1}


def _draw(seed: int, owner: Any) -> str:
    return hashlib.sha256(f"{seed}:{owner}".encode()).hexdigest()


def _pseudonym(owner: Any) -> str:
    """The `patient_id` of photos of this owner: the same in all data sets, also after a photo is deleted."""
    return f"{NAME}{hashlib.sha256(f'{_PATIENT}{owner}'.encode()).hexdigest()[:_PSEUDONYM_DIGITS]}"


def _lesion_name(lesion: uuid.UUID) -> str:
    return f"{NAME}{lesion.hex}"


def _groups(table: pd.DataFrame) -> "pd.Series[str]":
    """Groups of the split: the lesion or the patient of an imported image, the patient of a photo."""
    photos: list[uuid.UUID] = [photo for photo in table["photo"] if photo is not None]
    owner = dict(Photo.objects.filter(pk__in=photos).values_list("pk", "owner_id"))
    return pd.Series(
        [
            lesion if photo is None else f"patient {owner[photo]}"
            for lesion, photo in zip(split_groups(table), table["photo"], strict=True)
        ],
        index=table.index,
        dtype="object",
    )
