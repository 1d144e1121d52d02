"""Reads data in the form that the pipeline takes: a sealed data set from its rows and archives, or a folder."""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import pandas as pd
from django.db import DatabaseError
from django.db.models import QuerySet

from recognition.datasets.examples import COLUMNS, Examples, read_examples
from recognition.datasets.joined import is_joined, read_joined
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import BROKEN_ARCHIVE, PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.splits import SPLITS, TRAIN, Split, dealt_split
from recognition.progress import Report, silent
from training.data.archive import DatasetPictures
from training.models import Dataset, Example

OFFICIAL_PREFIX: Final = "ISIC_2019_Training_"
"""Begins the names of the official files: GroundTruth.csv, Metadata.csv and Input (a folder or a .zip)."""

DATA_HELP: Final = (
    f"folder with {OFFICIAL_PREFIX}GroundTruth.csv, {OFFICIAL_PREFIX}Metadata.csv and {OFFICIAL_PREFIX}Input (folder "
    "or .zip), or a folder that join_datasets --output wrote, or the name of an imported data set"
)


@dataclass(frozen=True, slots=True)
class SealedData:
    """A data set as the pipeline takes it. `pictures` is a context manager and must be closed."""

    examples: Examples
    split: Split
    pictures: PictureStore


@dataclass(frozen=True, slots=True)
class LearningData:
    """The data that a command was given. `split` is None for the official files: those are dealt from a seed.

    `pictures` is a context manager and must be closed.
    """

    examples: Examples
    split: Split | None
    pictures: PictureStore


def read_sealed(dataset: Dataset, *, needed: Sequence[str] = SPLITS) -> SealedData:
    """The data set's table, split and pictures; `needed` are the splits that must not be empty.

    Raises ExamplesError if it has no pictures, an archive is gone from the storage or broken, or a split is empty.
    """
    table = example_table(dataset)
    split = dealt_split(dict(zip(table["image"], table["split"], strict=True)), seed=dataset.split_seed or 0)
    empty = [name for name in needed if not split.images(name)]
    if not dataset.has_images:
        raise ExamplesError([FileProblem(dataset.name, 0, "has no pictures: only its tables were imported.")])
    if empty:
        raise ExamplesError(
            [FileProblem(dataset.name, 0, f"has no picture in its {empty[0]} split; import more pictures.")]
        )
    try:
        pictures = DatasetPictures(dataset)
    except BROKEN_ARCHIVE as error:
        reason = f"lacks a whole archive of its pictures on the storage ({error}). Restore it from a backup."
        raise ExamplesError([FileProblem(dataset.name, 0, reason)]) from error
    return SealedData(
        examples=Examples(
            name=dataset.name,
            table=table[list(COLUMNS)],
            fingerprint=dataset.fingerprint,
            further=_frame(dataset.examples.filter(sha256="", split=TRAIN).exclude(diagnosis=""))[list(COLUMNS)],
        ),
        split=Split(split.assignment, split.seed, split.shares, dataset.split_fingerprint),
        pictures=pictures,
    )


def read_learning_data(source: str | Path, *, name: str = "", report: Report = silent) -> LearningData:
    """The data in `source`: a folder with the official files or a joined data set, or the name of a data set here.

    `name` is what data from the official files are called; by default the name of the folder. Only the name of a data
    set needs the database. Raises ExamplesError.
    """
    folder, source = Path(source), str(source)
    if not folder.is_dir():
        try:
            dataset = Dataset.objects.filter(name=source).first()
        except DatabaseError as error:
            reason = "is not a folder, and the database that could know it as a data set does not answer."
            raise ExamplesError([FileProblem(source, 0, reason)]) from error
        if dataset is None:
            raise ExamplesError([FileProblem(source, 0, "is neither a folder nor the name of a data set.")])
        sealed = read_sealed(dataset)
        return LearningData(sealed.examples, sealed.split, sealed.pictures)
    if is_joined(folder):
        return LearningData(*read_joined(folder, report=report))
    unpacked = folder / f"{OFFICIAL_PREFIX}Input"
    pictures = PictureStore(unpacked if unpacked.is_dir() else folder / f"{OFFICIAL_PREFIX}Input.zip")
    try:
        examples = read_examples(
            name=name or folder.resolve().name,
            ground_truth=folder / f"{OFFICIAL_PREFIX}GroundTruth.csv",
            metadata=folder / f"{OFFICIAL_PREFIX}Metadata.csv",
            pictures=pictures,
            report=report,
        )
    except BaseException:
        pictures.close()
        raise
    return LearningData(examples, None, pictures)


def add_other_pictures(parser: ArgumentParser) -> None:
    """The option --other-pictures, for `opened_other_pictures`."""
    parser.add_argument(
        "--other-pictures",
        nargs=2,
        type=Path,
        metavar=("FOLDER_OR_ZIP", "CSV"),
        help="pictures of none of the eight diagnoses and their table (image, kind): the gate learns from one half, "
        "and the share refused of the other is sealed; without them it learns from the data alone",
    )


@contextmanager
def opened_other_pictures(paths: Sequence[Path] | None) -> Iterator[OtherPictures | None]:
    """A context manager with what --other-pictures names, None without it. Raises ExamplesError."""
    if not paths:
        yield None
        return
    others = OtherPictures.read(*paths)
    try:
        yield others
    finally:
        others.close()


def example_table(dataset: Dataset) -> pd.DataFrame:
    """One row per example with one of the eight diagnoses, sorted by image name: `COLUMNS` and split.

    Where the data set has pictures, rows without one are left out. Missing metadata is None (age: NaN).
    """
    return _frame(dataset.measurable())


def _frame(examples: QuerySet[Example]) -> pd.DataFrame:
    names = [*COLUMNS, "split"]
    rows = examples.order_by().values_list(*names)
    table = pd.DataFrame.from_records(sorted(rows, key=itemgetter(0)), columns=names)
    table["age_approx"] = pd.to_numeric(table["age_approx"])
    for name in ("anatom_site_general", "lesion_id", "patient_id", "sex"):
        words = table[name].astype(object)
        table[name] = words.where(words != "", None)
    return table
