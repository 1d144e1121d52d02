"""Own reading the official ISIC 2019 files into one checked table, and the pictures behind it.

Checked here and nowhere else: exact columns, one-hot labels, no duplicate rows, metadata words, a picture for
every row. Faults are collected and reported together by file and row, so that one look mends them all; a table
with a fault is not read at all.

Source of the layout: https://challenge.isic-archive.com/data/#2019
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd
from PIL import Image, UnidentifiedImageError

from diagnoses.taxonomy import CODES, SEXES, SITES, UNKNOWN_CODE
from training.pipeline.progress import Progress, Report, silent

GROUND_TRUTH_COLUMNS: Final = ("image", *CODES, UNKNOWN_CODE)
METADATA_COLUMNS: Final = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
COLUMNS: Final = ("image", "diagnosis", "age_approx", "anatom_site_general", "lesion_id", "sex", "sha256")
"""Columns of the checked table; missing metadata is None (age: NaN), sha256 is empty without pictures."""

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
AGE_LIMITS: Final = (0, 120)
FAULTS_SHOWN: Final = 5
CSV_HEADER_LINES: Final = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where: file name, line in it (1 is the header; 0 for the file as a whole), sentence."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.reason}"


class ExamplesError(Exception):
    """The files do not make a data set. `faults` holds every reason found, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(str(fault) for fault in self.faults[:FAULTS_SHOWN])
        more = len(self.faults) - FAULTS_SHOWN
        super().__init__(shown + (f"\nand {more} more." if more > 0 else ""))


class PictureStore:
    """The pictures of a data set in a folder or a zip, found by their ISIC name (file name without suffix).

    Nothing is unpacked, so names inside a zip cannot lead anywhere. Raises ExamplesError when the place cannot be
    read or holds one name twice. Use as a context manager, or call `close`.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._zip: zipfile.ZipFile | None = None
        try:
            if place.is_dir():
                found = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
            else:
                self._zip = zipfile.ZipFile(place)
                found = self._zip.namelist()
        except (OSError, zipfile.BadZipFile) as error:
            raise ExamplesError([Fault(place.name, 0, f"cannot be read as a folder or zip: {error}.")]) from error
        self._names: dict[str, str] = {}
        faults = []
        for name in found:
            path = PurePosixPath(name)
            # macOS archives carry a shadow file "__MACOSX/._name.jpg" for every picture.
            if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
                continue
            if path.stem in self._names:
                faults.append(Fault(place.name, 0, f"{path.stem} is there twice: {self._names[path.stem]} and {name}."))
            self._names[path.stem] = name
        if faults:
            raise ExamplesError(faults)

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, image: str) -> bool:
        return image in self._names

    def __len__(self) -> int:
        return len(self._names)

    def close(self) -> None:
        """Let the zip go."""
        if self._zip is not None:
            self._zip.close()

    def content(self, image: str) -> bytes:
        """The file's bytes. Raises KeyError for an unknown name."""
        name = self._names[image]
        return self._zip.read(name) if self._zip is not None else (self.place / name).read_bytes()

    def picture(self, image: str) -> Image.Image:
        """The picture as RGB, fully decoded. Raises KeyError for an unknown name, ExamplesError for a broken file."""
        content = self.content(image)
        try:
            with Image.open(io.BytesIO(content)) as opened:
                return opened.convert("RGB")
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            raise ExamplesError([Fault(self._names[image], 0, f"does not decode as a picture: {error}.")]) from error


@dataclass(frozen=True, slots=True)
class Examples:
    """A checked data set.

    `table` has the columns `COLUMNS` and one row per picture, sorted by image name; `fingerprint` is the sha256
    over its sorted "image,diagnosis,sha256" lines, so it names labels and pixels and nothing else.
    """

    name: str
    table: pd.DataFrame
    fingerprint: str

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

    Raises ExamplesError with every fault found: unreadable file, other columns than the official ones, label that is
    not one-hot, UNK, a row twice, a picture or a metadata row missing, a word outside the ISIC vocabulary.
    """
    table, faults = _read_ground_truth(ground_truth)
    if metadata is not None:
        table, more = _join_metadata(table, metadata)
        faults += more
    else:
        table = table.assign(age_approx=float("nan"), anatom_site_general=None, lesion_id=None, sex=None)
    if pictures is not None and not faults:
        faults += [
            Fault(ground_truth.name, line, f"{image} has no picture in {pictures.place.name}.")
            for line, image in zip(table["line"], table["image"], strict=True)
            if image not in pictures
        ]
    if faults:
        raise ExamplesError(faults)
    table = table.sort_values("image", kind="stable").reset_index(drop=True)
    table["sha256"] = "" if pictures is None else list(_hashes(table["image"].tolist(), pictures, report))
    lines = sorted(
        f"{image},{diagnosis},{digest}\n"
        for image, diagnosis, digest in zip(table["image"], table["diagnosis"], table["sha256"], strict=True)
    )
    fingerprint = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Examples(name=name, table=table[list(COLUMNS)], fingerprint=fingerprint)


def _hashes(images: Sequence[str], pictures: PictureStore, report: Report) -> Iterator[str]:
    for done, image in enumerate(images, start=1):
        yield hashlib.sha256(pictures.content(image)).hexdigest()
        if done % 100 == 0 or done == len(images):
            report(Progress("examples", done, len(images)))


def _read_csv(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, list[Fault]]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' parser and unicode errors are ValueErrors
        raise ExamplesError([Fault(path.name, 0, f"cannot be read as a CSV file: {error}.")]) from error
    if tuple(table.columns) != tuple(columns):
        reason = f"has the columns {', '.join(table.columns)}; expected exactly {', '.join(columns)}."
        raise ExamplesError([Fault(path.name, 1, reason)])
    if table.empty:
        raise ExamplesError([Fault(path.name, 0, "has no rows.")])
    table = table.assign(line=range(1 + CSV_HEADER_LINES, len(table) + 1 + CSV_HEADER_LINES))
    faults = [
        Fault(path.name, line, "has no image name." if not image else f"{image} is there twice.")
        for line, image in table.loc[
            table["image"].duplicated() | (table["image"] == ""), ["line", "image"]
        ].itertuples(index=False)
    ]
    return table, faults


def _read_ground_truth(path: Path) -> tuple[pd.DataFrame, list[Fault]]:
    table, faults = _read_csv(path, GROUND_TRUTH_COLUMNS)
    labels = table[[*CODES, UNKNOWN_CODE]].apply(pd.to_numeric, errors="coerce")
    one_hot = labels.isin([0.0, 1.0]).all(axis=1) & (labels.sum(axis=1) == 1.0)
    for line, image in table.loc[~one_hot, ["line", "image"]].itertuples(index=False):
        faults.append(Fault(path.name, line, f"{image} does not have exactly one diagnosis set to 1."))
    unknown = one_hot & (labels[UNKNOWN_CODE] == 1.0)
    for line, image in table.loc[unknown, ["line", "image"]].itertuples(index=False):
        faults.append(Fault(path.name, line, f"{image} is labelled UNK; only the eight diagnoses can be learned."))
    # idxmax over CODES keeps the ISIC order; a row with a fault gets a meaningless code and is never returned.
    diagnosis = labels[list(CODES)].fillna(0.0).idxmax(axis=1)
    return pd.DataFrame({"image": table["image"], "diagnosis": diagnosis, "line": table["line"]}), faults


def _join_metadata(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[Fault]]:
    metadata, faults = _read_csv(path, METADATA_COLUMNS)
    age = pd.to_numeric(metadata["age_approx"], errors="coerce")
    low, high = AGE_LIMITS
    checks = (
        (metadata["age_approx"].ne("") & ~age.between(low, high), "age_approx", f"a number from {low} to {high}"),
        (~metadata["anatom_site_general"].isin(("", *SITES)), "anatom_site_general", "an ISIC site"),
        (~metadata["sex"].isin(("", *SEXES)), "sex", "male or female"),
    )
    for wrong, column, expected in checks:
        for line, value in metadata.loc[wrong, ["line", column]].itertuples(index=False):
            faults.append(Fault(path.name, line, f"{column} is {value!r}; expected {expected}, or nothing."))
    for image in sorted(set(table["image"]) - set(metadata["image"])):
        faults.append(Fault(path.name, 0, f"has no row for {image}."))
    words = metadata[["anatom_site_general", "lesion_id", "sex"]]
    metadata = metadata.assign(age_approx=age, **words.where(words.ne(""), None).to_dict("series"))
    return table.merge(metadata.drop(columns="line"), on="image", how="left"), faults
