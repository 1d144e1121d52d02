"""Pictures that show none of the eight diagnoses (bare torsos, wounds, rashes), with a table of what each shows.

They have no diagnosis, so they are in no data set. One half may be learned from, the other is to measure on: the halves
are dealt by a hash of the file names, near copies of one picture always into the same half.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.csv_files import need_columns, read_csv
from recognition.datasets.duplicates import NEAR_DISTANCE, clusters, near_blocks
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.sandbox.perceptual_hash import content_hash, hash_distance

COLUMNS: Final = ("image", "kind")
"""Of the table: the file's name, and a word for what it shows."""


@dataclass(frozen=True, slots=True, eq=False)
class OtherPictures:
    """N pictures of none of the eight diagnoses.

    - `images` (N): their names, sorted; `shows` (N,): what each shows; `hashes` (N): its `content_hash`;
    - `groups` (N,): one number for all near copies of a picture;
    - `learned` (N,): whether it is in the half to learn from;
    - `fingerprint`: sha256 (hex) of names, bytes and what they show.
    """

    pictures: PictureStore
    images: tuple[str, ...]
    shows: NDArray[np.str_]
    hashes: tuple[bytes, ...]
    groups: NDArray[np.intp]
    learned: NDArray[np.bool_]
    fingerprint: str

    @classmethod
    def read(cls, place: Path, labels: Path) -> Self:
        """Read a folder or zip and its table; pictures that are not in the table are left out.

        Raises ExamplesError where a file cannot be read, the table names none of the pictures, or they are not enough
        for two halves. Close the result.
        """
        shown = read_shown(labels)
        pictures = PictureStore(place)
        try:
            images = tuple(sorted(image for image in pictures if image in shown))
            hashes = tuple(content_hash(pictures.picture(image)) for image in images)
            groups = clusters(near_blocks(hashes, within=NEAR_DISTANCE), len(images))
            learned = np.array([_in_first_half(images[group]) for group in groups], dtype=bool)
            if not learned.any() or learned.all():
                reason = f"names {len(images)} of these pictures, too few to learn from one half and measure the other."
                raise ExamplesError([FileProblem(labels.name, 0, reason)])
            digest = hashlib.sha256()
            for image in images:
                digest.update(f"{image}\0{shown[image]}\0".encode() + hashlib.sha256(pictures.content(image)).digest())
        except BaseException:
            pictures.close()
            raise
        shows = np.array([shown[image] for image in images])
        return cls(pictures, images, shows, hashes, groups, learned, digest.hexdigest())

    def close(self) -> None:
        """Close the folder or zip."""
        self.pictures.close()


def read_shown(labels: Path) -> dict[str, str]:
    """What each picture shows, by its name without suffix. Raises ExamplesError for a table without `COLUMNS`."""
    table = read_csv(labels)
    if not table.problems:
        need_columns(table, COLUMNS)
    if table.problems:
        raise ExamplesError(table.problems)
    return {Path(row["image"]).stem: row["kind"] for row in table.rows}


def is_near_copy(found: bytes, known: Iterable[bytes]) -> bool:
    """Whether a picture, by its `content_hash`, is a near copy of one of others."""
    return any(hash_distance(found, each) <= NEAR_DISTANCE for each in known)


def _in_first_half(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0
