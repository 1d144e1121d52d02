"""Makes small copies of a data set's pictures for the search for similar cases (`diagnoses.similar`)."""

import logging
from collections.abc import Callable, Iterator

from diagnoses.similar.references import store_references, without_reference
from recognition.datasets.known_images import SmallPicture, small_picture
from recognition.datasets.pictures import BROKEN_ARCHIVE
from recognition.datasets.problems import ExamplesError
from recognition.sandbox import PhotoRejected
from training.data.archive import DatasetPictures
from training.models import Dataset

logger = logging.getLogger(__name__)


def keep_reference_pictures(dataset: Dataset, *, progress: Callable[[int], object] = lambda done: None) -> int:
    """Make small copies of the pictures that have none yet. Returns how many were made.

    A picture that cannot be read, or whose archive is gone from the storage, is skipped and logged: the data set is
    sealed, and the other pictures are useful. After an interruption the next call makes the rest.
    """
    missing = without_reference(dataset=dataset.name) if dataset.has_images else []
    if not missing:
        return 0
    try:
        pictures = DatasetPictures(dataset)
    except BROKEN_ARCHIVE as error:
        logger.error("The pictures of %s are not there to be shown as similar cases: %s", dataset, error)
        return 0
    with pictures:
        return store_references(_small(pictures, missing, progress))


def _small(pictures: DatasetPictures, names: list[str], progress: Callable[[int], object]) -> Iterator[SmallPicture]:
    for name in names:
        try:
            yield small_picture(pictures.content(name))
        except KeyError:
            pass  # only its row was imported
        except (ExamplesError, PhotoRejected) as error:
            logger.warning("The picture %s cannot be shown as a similar case: %s", name, error)
        progress(1)
