"""Checks of the cells and names in a data set's tables. What is wrong becomes a problem of the file, with its line."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from recognition.datasets.csv_files import CsvFile, shown
from recognition.datasets.layouts import DOWNSAMPLED, isic_id
from recognition.taxonomy import SEXES, SITES

AGE_LIMITS: Final = (0, 120)
# Names become file names in the archive and keys in the database: plain characters, at most 100.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_ID_LENGTH: Final = 100


class ImageNames:
    """Checks the image names of one file: present, plain, each ISIC image once."""

    def __init__(self, file: CsvFile) -> None:
        self._file = file
        self._line_of: dict[str, int] = {}
        self._downsampled = 0

    @property
    def ids(self) -> set[str]:
        return set(self._line_of)

    def take(self, image: str, line: int) -> bool:
        """Whether the name can be used; adds a problem if not."""
        if not image:
            self._file.add_problem(line, "has no image name.")
            return False
        if not _NAME.fullmatch(image):
            self._file.add_problem(
                line, f"{shown(image)} is not an image name: letters, digits, _ . - and at most 100."
            )
            return False
        first = self._line_of.setdefault(isic_id(image), line)
        if first != line:
            self._file.add_problem(line, f"{image} is there twice; the first time on line {first}.")
            return False
        self._downsampled += image.endswith(DOWNSAMPLED)
        return True

    def notes(self) -> dict[str, Any]:
        return {"downsampled_names": self._downsampled}


def one_hot(labels: CsvFile, line: int, row: Mapping[str, str], *, name: str, codes: Sequence[str]) -> str | None:
    """The one code of `codes` that is 1 in this row; None, and a problem, if it is not exactly one."""
    ones = []
    for code in codes:
        try:
            value = float(row[code])
        except ValueError:
            value = math.nan
        if value not in (0.0, 1.0):
            labels.add_problem(line, f"{name}: {code} is {shown(row[code])}; expected 0 or 1.")
            return None
        if value:
            ones.append(code)
    if len(ones) != 1:
        said = " and ".join(ones) if ones else "none"
        labels.add_problem(line, f"{name} needs exactly one diagnosis set to 1; it has {said}.")
        return None
    return ones[0]


def number_in(
    found: CsvFile, line: int, row: Mapping[str, str], column: str, *, limits: tuple[float, float]
) -> float | None:
    """The number in a cell; None for an empty or missing cell, and for a wrong one, which is a problem."""
    text = row.get(column, "")
    if not text:
        return None
    low, high = limits
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        found.add_problem(line, f"{column} is {shown(text)}; expected a number from {low} to {high}, or nothing.")
        return None
    return value


def age_in(found: CsvFile, line: int, row: Mapping[str, str], column: str = "age_approx") -> float:
    """The age in a cell; NaN for an empty, missing or wrong one."""
    age = number_in(found, line, row, column, limits=AGE_LIMITS)
    return math.nan if age is None else age


def word_in(
    found: CsvFile, line: int, row: Mapping[str, str], column: str, *, known: Collection[str], meant: str
) -> str | None:
    """The word in a cell; None for an empty or missing cell, and for a word not in `known`, which is a problem."""
    word = row.get(column, "")
    if not word:
        return None
    if word not in known:
        found.add_problem(line, f"{column} is {shown(word)}; expected {meant}, or nothing.")
        return None
    return word


def sex_in(found: CsvFile, line: int, row: Mapping[str, str]) -> str | None:
    """The sex in ISIC's words."""
    return word_in(found, line, row, "sex", known=SEXES, meant="male or female")


def general_site_in(found: CsvFile, line: int, row: Mapping[str, str]) -> str | None:
    """The body site in the words of ISIC 2019."""
    return word_in(found, line, row, "anatom_site_general", known=SITES, meant="an ISIC site")


def id_in(found: CsvFile, line: int, row: Mapping[str, str], column: str) -> str | None:
    """The id of a lesion or a patient; None for an empty or missing cell."""
    text = row.get(column, "")
    if len(text) > _ID_LENGTH:
        found.add_problem(line, f"{column} is longer than {_ID_LENGTH} characters.")
    return text or None
