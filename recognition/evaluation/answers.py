"""Own running a drafted classifier over the pictures of a split: what everything sealed is calibrated and measured on.

Answers can be kept on disk, named by all they depend on (pictures, weights, preprocessing, views): a bundle that is
sealed again, or compared at another size, then costs only the passes that were never made.
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
from recognition.inference.assessor import PictureStatistics
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.quality import QualityMeasures
from recognition.inference.runtime import Backend, measure_and_prepare, run_views
from recognition.progress import Progress, Report, silent

STAGE: Final = "evaluate"

STATISTICS_VERSION: Final = 2
"""Raised when a measure of quality or colour changes: kept answers hold them too."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of N pictures: `images` their names, `labels` (N,), `logits` (N, 8) averaged over views, `features` (N, C)
    of the upright view, `statistics` N of them."""

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
        keep: "AnswerCache | None" = None,
        report: Report = silent,
    ) -> Self:
        """Run the pictures. Raises what `Pictures.picture` raises, OSError when answers cannot be kept."""
        path = None if keep is None else keep.path(images, preprocessing, views)
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
    """Where answers are kept. `pictures_key` names the pictures (a data set's fingerprint), `weights_key` the weights
    and everything of the architecture that the preprocessing does not say."""

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


Kept = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]


def _run(
    backend: Backend,
    images: Sequence[str],
    *,
    pictures: Pictures,
    preprocessing: Preprocessing,
    views: int,
    report: Report,
) -> Kept:
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


def _read(path: Path, rows: int) -> Kept | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = file["logits"], file["features"], file["seen"]
    except (OSError, ValueError, EOFError, KeyError):
        return None
    return kept if all(len(each) == rows for each in kept) else None


def _write(path: Path, kept: Kept) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, logits=kept[0], features=kept[1], seen=kept[2])
    partial.replace(path)
