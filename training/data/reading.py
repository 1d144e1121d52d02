"""Reads a sealed data set back from its rows and archives, in the form that the pipeline takes."""

from dataclasses import dataclass

import pandas as pd

from recognition.datasets.examples import COLUMNS, Examples
from recognition.datasets.pictures import BROKEN_ARCHIVE
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.splits import SPLITS, Split
from training.data.archive import DatasetPictures
from training.models import Dataset, Example


@dataclass(frozen=True, slots=True)
class SealedData:
    """A data set as the pipeline takes it. `pictures` is a context manager and must be closed."""

    examples: Examples
    split: Split
    pictures: DatasetPictures


def read_sealed(dataset: Dataset) -> SealedData:
    """The data set's table, split and pictures.

    Raises ExamplesError if it has no pictures, an archive is gone from the storage or broken, or a split is empty.
    """
    table = example_table(dataset)
    assignment = pd.Series(table["split"].tolist(), index=table["image"].tolist(), dtype="object").sort_index()
    counts = assignment.value_counts()
    empty = [name for name in SPLITS if not counts.get(name)]
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
    shares = {name: float(counts[name]) / len(assignment) for name in SPLITS}
    return SealedData(
        examples=Examples(name=dataset.name, table=table[list(COLUMNS)], fingerprint=dataset.fingerprint),
        split=Split(assignment, dataset.split_seed or 0, shares, dataset.split_fingerprint),
        pictures=pictures,
    )


def example_table(dataset: Dataset) -> pd.DataFrame:
    """One row per example with one of the eight diagnoses, sorted by image name: `COLUMNS` and split.

    Missing metadata is None (age: NaN).
    """
    names = [*COLUMNS, "split"]
    rows = Example.objects.filter(dataset=dataset).exclude(diagnosis="").order_by().values_list(*names)
    table = pd.DataFrame.from_records(sorted(rows), columns=names)
    table["age_approx"] = pd.to_numeric(table["age_approx"])
    for name in ("anatom_site_general", "lesion_id", "patient_id", "sex"):
        table[name] = table[name].where(table[name] != "", None)
    return table
