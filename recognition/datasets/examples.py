"""The checked examples of a data set: one row per picture with diagnosis, metadata and the picture's sha256."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.datasets.splits import TEST, Split
from recognition.datasets.tables import read_tables
from recognition.inference.metadata import ANSWERS, Metadata
from recognition.progress import Progress, Report, silent

COLUMNS: Final = (
    "image", "diagnosis", "image_type", "age_approx", "anatom_site_general", "lesion_id", "patient_id", "sex", "sha256",
    "details",
)  # fmt: skip
"""Columns of the checked table; missing metadata is None (age: NaN), sha256 is empty without a picture, `details` is a
dict of what else the source says, by its own column names."""


def metadata_of(table: pd.DataFrame, images: Sequence[str]) -> list[Metadata]:
    """The metadata of each image, in the order of `images`; `table` has the columns `COLUMNS`.

    Raises KeyError for an image that is not in the table.
    """
    rows = table.set_index("image").loc[list(images), ["age_approx", "sex", "anatom_site_general", "details"]]
    return [
        Metadata(
            age_approx=None if pd.isna(age) else float(age),
            sex=sex or None,
            anatom_site_general=site or None,
            **_answers(details),
        )
        for age, sex, site, details in rows.itertuples(index=False, name=None)
    ]


def _answers(details: Mapping[str, Any]) -> dict[str, bool]:
    """What the patient answered; UNK, and a question that was not asked, is unknown and is left out."""
    said = {name: details.get(name) for name in ANSWERS}
    return {name: word == "True" for name, word in said.items() if word in ("True", "False")}


@dataclass(frozen=True, slots=True)
class Examples:
    """A checked data set.

    `table` has the columns `COLUMNS` and one row per picture, sorted by image name; `fingerprint` is that of
    `examples_fingerprint`. `further` has the same columns: rows without a picture, of the training split and with one
    of the eight diagnoses. Ages, sites and answers can be learned from them.
    """

    name: str
    table: pd.DataFrame
    fingerprint: str
    further: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))

    def __len__(self) -> int:
        return len(self.table)


def read_examples(
    *,
    name: str,
    ground_truth: Path,
    metadata: Path | None = None,
    pictures: PictureStore | None = None,
    report: Report = silent,
) -> Examples:
    """Read and check the official tables, and hash the pictures when there are any.

    Raises ExamplesError with every problem found: a file that cannot be read, wrong columns, a label that is not
    one-hot, UNK, a row twice, a missing picture or metadata row, a word outside the ISIC vocabulary.
    """
    tables = read_tables(ground_truth=ground_truth, metadata=metadata)
    table, problems = tables.rows, tables.problems
    if pictures is not None:
        problems += [
            FileProblem(tables.labels_file, line, f"{image} has no picture in {pictures.place.name}.")
            for line, image in zip(table["line"], table["image"], strict=True)
            if image not in pictures
        ]
    if problems:
        raise ExamplesError(problems)
    table["sha256"] = "" if pictures is None else list(hashes(table["image"].tolist(), pictures, report))
    return Examples(name=name, table=table[list(COLUMNS)], fingerprint=examples_fingerprint(table))


def examples_fingerprint(table: pd.DataFrame) -> str:
    """sha256 (hex) over the sorted "image,diagnosis,sha256" lines: it depends on labels and pixels alone.

    Where some rows have a picture, rows without one do not count: no figure of a network depends on them.
    """
    pictured = table[table["sha256"] != ""]
    counted = table if pictured.empty else pictured
    lines = sorted(
        f"{image},{diagnosis},{digest}\n"
        for image, diagnosis, digest in zip(counted["image"], counted["diagnosis"], counted["sha256"], strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_of_test(table: pd.DataFrame, split: Split) -> str:
    """`examples_fingerprint` of the test split alone.

    Two classifiers can be compared if theirs are equal: they were measured on the same pictures with the same labels.
    """
    return examples_fingerprint(table[table["image"].isin(split.images(TEST))])


def hashes(images: Sequence[str], pictures: PictureStore, report: Report) -> Iterator[str]:
    """The sha256 (hex) of each picture file, in the order of `images`. Raises ExamplesError, and KeyError."""
    for done, image in enumerate(images, start=1):
        yield hashlib.sha256(pictures.content(image)).hexdigest()
        if done % 100 == 0 or done == len(images):
            report(Progress("examples", done, len(images)))
