"""Turns a checked table into a whole data set: duplicates, split, leakage, figures and charts, ready to write."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from django.db import IntegrityError

from accounts.models import User
from recognition.datasets.duplicates import NEAR_DISTANCE, clusters, exact_copies, near_blocks
from recognition.datasets.examples import examples_fingerprint, fingerprint_of_test
from recognition.datasets.leakage import random_split_leakage, shared_lesions
from recognition.datasets.problems import FileProblem
from recognition.datasets.splits import (
    DEFAULT_SHARES,
    SHARES_BY_LAYOUT,
    SPLITS,
    Split,
    gather_look_alikes,
    label_conflicts,
    lesion_groups,
    split_examples,
    split_groups,
    whole_test_split,
)
from recognition.progress import Progress, Report
from recognition.taxonomy import CODES
from training.data.archive import store_archive
from training.data.exploration import explore_and_draw
from training.data.import_errors import DatasetImportError, error_of
from training.models import Dataset, Example, ImageArchive
from training.services.datasets import NewDataset, PartGone, seal_dataset

# People read the report: its counts are complete, its lists are cut to this length.
LISTED: Final = 100
SEALED_COLUMNS: Final = (
    "image", "diagnosis", "image_type", "age_approx", "anatom_site_general", "lesion_id", "patient_id", "sex",
    "details", "sha256", "content_hash", "width", "height", "member", "archive_id", "photo",
)  # fmt: skip
"""Columns of the table that is sealed: those of a checked table, and facts of each picture (None without one)."""

ISIC_LICENCE: Final = "ISIC 2019: CC BY-NC 4.0 (non-commercial, with citation)"

_LICENCE_LENGTH: Final = 200


def licence_of(notes: Mapping[str, Any]) -> str:
    """The licence of the challenge files, or those in the table of an isic-cli download, most frequent first."""
    licences: Mapping[str, int] = notes.get("licences", {})
    if not licences:
        return ISIC_LICENCE
    return f"ISIC archive: {', '.join(f'{name} ({number:,})' for name, number in licences.items())}"[:_LICENCE_LENGTH]


def check_labels(table: pd.DataFrame, *, labels_file: str) -> None:
    """Raise DatasetImportError if pictures of one lesion, or copies of one file, carry different diagnoses.

    `table` has the columns image, diagnosis, lesion_id, sha256 and line.
    """
    groups = lesion_groups(table)
    lines = table.set_index("image")["line"]
    problems = []
    for images in label_conflicts(table, groups):
        others = ", ".join(images[:4]) + (" and others" if len(images) > 4 else "")
        reason = f"{others} show one lesion, or are copies of one file, and carry different diagnoses."
        problems.append(FileProblem(labels_file, int(lines[images[0]]), reason))
    if problems:
        raise error_of(problems)


def split_report(table: pd.DataFrame, split: Split) -> dict[str, Any]:
    """Counts by diagnosis and split, and leakage: of a random split of the images, and of this split.

    `table` has the pictures of the split. The leakage of this split counts lesions and patients.
    """
    groups = lesion_groups(table)
    dealt = table["image"].map(split.assignment)
    counts = Counter(zip(table["diagnosis"], dealt, strict=True))
    random = random_split_leakage(groups)
    return {
        "counts": {
            code: {name: counts[code, name] for name in SPLITS} for code in CODES
        },
        "lesions": int(groups.nunique()),
        "leakage": {
            "random": {
                "mean": random.mean, "low": random.low, "high": random.high, "draws": random.draws,
                "validation_share": random.validation_share,
            },
            "ours": shared_lesions(split_groups(table), _dealt(split), table["image"]),
        },
    }  # fmt: skip


def duplicates_report(table: pd.DataFrame, assignment: Mapping[str, str]) -> dict[str, Any]:
    """Exact copies and near duplicates, and which of them have two lesion ids or are in two splits.

    Pairs are counted in blocks: a set that holds one picture a thousand times has half a million pairs.
    """
    images = table["image"].tolist()
    copies = exact_copies(images, table["sha256"].tolist())
    lesion, digest = pd.factorize(lesion_groups(table))[0], pd.factorize(table["sha256"])[0]
    dealt = np.array([SPLITS.index(assignment[image]) for image in images])
    total = elsewhere = across = 0
    nearest: list[tuple[int, int, int]] = []
    for block in near_blocks(table["content_hash"].tolist()):
        # Exact copies are counted above.
        differ = digest[block.first] != digest[block.second]
        apart = differ & (lesion[block.first] != lesion[block.second])
        total += int(differ.sum())
        elsewhere += int(apart.sum())
        across += int((dealt[block.first] != dealt[block.second])[apart].sum())
        found = zip(
            block.distance[apart].tolist(), block.first[apart].tolist(), block.second[apart].tolist(), strict=True
        )
        nearest = heapq.nsmallest(LISTED, [*nearest, *found])
    return {
        "exact_copies": copies[:LISTED],
        "exact_copies_count": len(copies),
        "near_within_bits": NEAR_DISTANCE,
        "near_count": total,
        "near_other_lesion": [
            {
                "images": [images[first], images[second]],
                "bits": bits,
                "splits": [assignment[images[first]], assignment[images[second]]],
            }
            for bits, first, second in nearest
        ],
        "near_other_lesion_count": elsewhere,
        "near_across_splits_count": across,
    }


def keep_look_alikes_together(table: pd.DataFrame, split: Split) -> tuple[Split, dict[str, Any]]:
    """`split` with near duplicates on one side, and an entry for the report.

    The entry is {"moved": {image: split before}, "dealt_fingerprint": fingerprint of the split before}; with it the
    split before can be restored. If "moved" is empty, the two splits are the same.
    """
    label = clusters(near_blocks(table["content_hash"].tolist()), len(table))
    images = table["image"].tolist()
    gathered = gather_look_alikes(
        split, pd.Series(label, index=images), pd.Series(split_groups(table).tolist(), index=images)
    )
    return gathered.split, {"moved": dict(gathered.moved), "dealt_fingerprint": split.fingerprint}


def seal(
    table: pd.DataFrame,
    *,
    name: str,
    folder: str,
    report_so_far: Mapping[str, Any],
    report: Report,
    seed: int,
    split: Split | None = None,
    shares: Mapping[str, float] | None = None,
    test_only: bool = False,
    archive_file: Path | None = None,
    previous: Dataset | None = None,
    parts: Sequence[Dataset] = (),
    licence: str = ISIC_LICENCE,
    near_together: bool = False,
) -> NewDataset:
    """Make a data set without writing rows: split, duplicates, figures, charts, and the archive on the storage.

    `table` has the columns `SEALED_COLUMNS`; images of rows with a `member` and no `archive_id` are in `archive_file`.
    A new version gives its `split`; otherwise the split is made from `seed` and `shares` (by default those of the
    layout), and with `near_together` it puts near duplicates on one side. With `test_only` all is in the test split.
    Rows of none of the eight are in no split. Rows without a picture, in a data set that has pictures, keep the split
    that they are given, but no fingerprint and no count of the split holds them. A joined data set names its `parts`.
    Files go into `folder` on the default storage. Raises DatasetImportError.
    """
    report(Progress("split", 0, 1))
    has_images = bool((table["sha256"] != "").any())
    learned = table[(table["diagnosis"] != "") & ((table["sha256"] != "") | (not has_images))].reset_index(drop=True)
    if learned.empty:
        raise DatasetImportError(
            "faulty_files", f"{name} has no picture with one of the eight diagnoses. No data set was made."
        )
    gathered = None
    if test_only:
        split = whole_test_split(table, seed=seed)
    elif split is None:
        shares = shares or SHARES_BY_LAYOUT.get(report_so_far.get("layout", ""), DEFAULT_SHARES)
        split = split_examples(table, shares=shares, seed=seed)
        if near_together and has_images:
            split, gathered = keep_look_alikes_together(learned, split)
    measured = split.only(learned["image"])
    seen: dict[str, Any] = {**report_so_far, "folder": folder, "split": split_report(learned, measured)}
    if gathered is not None:
        seen["split"]["near_together"] = gathered
    report(Progress("split", 1, 1))
    if has_images:
        report(Progress("duplicates", 0, 1))
        seen["duplicates"] = duplicates_report(learned, _dealt(measured))
        report(Progress("duplicates", 1, 1))
    eda = explore_and_draw(table, folder=folder, report=report)
    archive: ImageArchive | None = None
    fresh: set[str] = set()
    if archive_file is not None:
        archive = store_archive(archive_file, name=f"{folder}/images.zip", report=report)
        fresh = set(table.loc[table["archive_id"].isna() & (table["member"] != ""), "image"])
    dataset = Dataset(
        name=name,
        previous=previous,
        fingerprint=examples_fingerprint(table),
        split_fingerprint=measured.fingerprint,
        test_fingerprint=measured.test_fingerprint,
        test_content_fingerprint=fingerprint_of_test(table, measured),
        split_seed=split.seed,
        has_images=has_images,
        example_count=len(table),
        report=seen,
        eda=eda,
        licence=licence,
    )
    return NewDataset(dataset, _examples(table, split), archive, fresh, parts=[part.pk for part in parts])


def _dealt(split: Split) -> dict[str, str]:
    """The split of each image, as a dictionary: 25,000 look-ups in a Series would take a second."""
    return {str(image): name for image, name in split.assignment.items()}


def _examples(table: pd.DataFrame, split: Split) -> list[Example]:
    dealt = _dealt(split)
    examples = []
    for row in table.to_dict("records"):
        examples.append(
            Example(
                image=row["image"],
                diagnosis=row["diagnosis"],
                image_type=row["image_type"] or "",
                patient_id=row["patient_id"] or "",
                details=row["details"] or {},
                lesion_id=row["lesion_id"] or "",
                age_approx=None if pd.isna(row["age_approx"]) else float(row["age_approx"]),
                sex=row["sex"] or "",
                anatom_site_general=row["anatom_site_general"] or "",
                # None of the eight: in no split.
                split=dealt.get(row["image"], ""),
                archive_id=None if pd.isna(row["archive_id"]) else int(row["archive_id"]),
                member=row["member"],
                sha256=row["sha256"],
                content_hash=row["content_hash"],
                width=None if pd.isna(row["width"]) else int(row["width"]),
                height=None if pd.isna(row["height"]) else int(row["height"]),
                photo=row["photo"],
            )
        )
    return examples


def write(new: NewDataset, *, by: User | None) -> Dataset:
    """Write the rows, as `seal_dataset` does.

    Raises DatasetImportError if the name was taken meanwhile, or a part of a joined data set was deleted.
    """
    try:
        return seal_dataset(new, by=by)
    except PartGone as error:
        raise DatasetImportError(
            "part_gone", "A data set that was to be joined was deleted meanwhile. Nothing was joined."
        ) from error
    except IntegrityError:
        refuse_taken(new.dataset.name)
        raise


def refuse_taken(name: str) -> None:
    """Raise DatasetImportError if there is a data set of this name."""
    if Dataset.objects.filter(name=name).exists():
        raise DatasetImportError("name_taken", f"There is a data set named {name} already. Choose another name.")
