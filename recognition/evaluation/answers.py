"""The outputs of a network for the pictures of a split: calibration and sealed metrics are computed from them.

They can be cached on disk, in a file named by all they depend on (pictures, weights, preprocessing, views). Sealing
the same weights again then needs no second pass.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.pictures import Pictures
from recognition.inference.outputs import PictureStatistics
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.quality import QualityMeasures
from recognition.inference.runtime import Backend, measure_and_prepare, run_views
from recognition.progress import Progress, Report, silent

STAGE: Final = "evaluate"

STATISTICS_VERSION: Final = 2
"""Increased when a measure of quality or colour changes, because cached answers hold these measures."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The outputs for N pictures.

    - `images`: their names; `labels`: (N,), positions in `CODES`;
    - `logits`: (N, 8), averaged over views, before the temperature;
    - `features`: (N, C), pooled, of the upright view; `statistics`: N of them, for the gates.
    """

    images: Sequence[str]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    statistics: Sequence[PictureStatistics]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def colours(self) -> NDArray[np.float64]:
        """The colour statistics (N, 6)."""
        return np.stack([each.colours for each in self.statistics])

    @classmethod
    def of(
        cls,
        backend: Backend,
        images: Sequence[str],
        *,
        labels: Mapping[str, int],
        pictures: Pictures,
        preprocessing: Preprocessing,
        views: int = 1,
        cache: "AnswerCache | None" = None,
        report: Report = silent,
    ) -> Self:
        """Run the network on the pictures, or read its outputs from the cache.

        Raises KeyError or ExamplesError for a picture that is missing or broken, OSError when the cache cannot be
        written.
        """
        path = None if cache is None else cache.path(images, preprocessing, views)
        kept = None if path is None else _read(path, len(images))
        if kept is None:
            kept = _run(backend, images, pictures=pictures, preprocessing=preprocessing, views=views, report=report)
            if path is not None:
                _write(path, kept)
        else:
            report(Progress(STAGE, len(images), len(images)))
        logits, features, seen = kept
        statistics = [PictureStatistics(QualityMeasures(*map(float, row[:5])), np.asarray(row[5:])) for row in seen]
        return cls(images, np.array([labels[image] for image in images]), logits, features, statistics)


@dataclass(frozen=True, slots=True)
class AnswerCache:
    """A folder with cached answers.

    `pictures_key` names the pictures (the data set's fingerprint), `weights_key` the weights and the backbone.
    """

    folder: Path
    pictures_key: str
    weights_key: str

    def path(self, images: Sequence[str], preprocessing: Preprocessing, views: int) -> Path:
        """The file for these answers."""
        described = json.dumps(
            [list(images), self.pictures_key, self.weights_key, preprocessing.as_json(), views, STATISTICS_VERSION],
            sort_keys=True,
        )
        return self.folder / f"answers-{hashlib.sha256(described.encode()).hexdigest()[:32]}.npz"


CachedArrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]


def _run(
    backend: Backend,
    images: Sequence[str],
    *,
    pictures: Pictures,
    preprocessing: Preprocessing,
    views: int,
    report: Report,
) -> CachedArrays:
    logits, features, seen = [], [], []
    for start in range(0, len(images), backend.batch_size):
        chunk = images[start : start + backend.batch_size]
        prepared = [measure_and_prepare(pictures.picture(image), preprocessing) for image in chunk]
        answers = run_views(backend, np.stack([pixels for pixels, _ in prepared]), views)
        logits.append(answers[0])
        features.append(answers[1])
        seen += [np.r_[astuple(each.quality), each.colours] for _, each in prepared]
        report(Progress(STAGE, start + len(chunk), len(images)))
    return np.concatenate(logits), np.concatenate(features), np.stack(seen)


def _read(path: Path, rows: int) -> CachedArrays | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = file["logits"], file["features"], file["seen"]
    except (OSError, ValueError, EOFError, KeyError):
        return None
    return kept if all(len(each) == rows for each in kept) else None


def _write(path: Path, kept: CachedArrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, logits=kept[0], features=kept[1], seen=kept[2])
    partial.replace(path)
