"""Makes the vectors of all pictures for the live classifier, in the background while no photo waits.

There is no queue: every picture without a vector is to be done. So a restarted worker continues, and new classifiers,
data sets and findings need no notification. Confirmed cases come first, then other analysed photos.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import KnownImage, Photo
from diagnoses.readings.models import Finding
from diagnoses.similar.cases import case_vectors
from diagnoses.similar.models import FeatureIndex, FeatureVector, ReferencePicture
from diagnoses.similar.projection import project
from diagnoses.similar.references import drop_unknown_references
from diagnoses.similar.search import read_matrix
from recognition.inference.runtime import LoadedClassifier
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image

logger = logging.getLogger(__name__)

SCALE_MIN: Final = 50
"""The smallest number of cases for measuring what "similar" means."""

SCALE_SAMPLE: Final = 400
"""The sample size for the usual similarity: enough for quantiles to a few hundredths."""

LOW_SHARE: Final = 0.1
"""The quantile below which cases are only "remotely similar"."""

CHANGED: Final = 0.02
"""The scale is measured again if the number of cases has changed by this share."""

Row = TypeVar("Row", Photo, ReferencePicture)


class Indexer:
    """The indexing of one process. It remembers pictures without a valid vector, to avoid repeated attempts."""

    def __init__(self) -> None:
        self._unreadable: set[UUID | int] = set()

    def work(
        self,
        *,
        classifier: Classifier,
        loaded: LoadedClassifier,
        should_stop: Callable[[], bool],
        progress: Callable[[int], object] = lambda done: None,
    ) -> bool:
        """Make vectors until all are done (returns True) or `should_stop()` is true. It is called before each batch.

        `progress` is called with the number of pictures finished since the last call.
        """
        drop_unknown_references()
        size = loaded.backend.batch_size
        done = False
        while not should_stop():
            references = list(self._references_waiting(classifier)[:size])
            photos = [] if references else list(self._photos_waiting(classifier)[:size])
            if not references and not photos:
                done = True
                break
            if references:
                self._store(classifier, loaded, references, [_reference_image(row) for row in references])
            else:
                self._store(classifier, loaded, photos, [self._photo_image(row) for row in photos])
            progress(len(references) + len(photos))
        _note(classifier, waiting=self.waiting(classifier))
        if done:
            measure_scale(classifier)
            _drop_old_vectors()
        return done

    def waiting(self, classifier: Classifier) -> int:
        """The number of pictures without a vector of this classifier."""
        return self._references_waiting(classifier).count() + self._photos_waiting(classifier).count()

    def _references_waiting(self, classifier: Classifier) -> "QuerySet[ReferencePicture]":
        return references_waiting(classifier).exclude(pk__in=[key for key in self._unreadable if isinstance(key, int)])

    def _photos_waiting(self, classifier: Classifier) -> "QuerySet[Photo]":
        return photos_waiting(classifier).exclude(pk__in=[key for key in self._unreadable if isinstance(key, UUID)])

    def _photo_image(self, photo: Photo) -> Image.Image | None:
        try:
            with photo.image.open() as file:
                return read_image(file.read(), limits=IntakeLimits())
        except (OSError, PhotoRejected) as error:
            self._unreadable.add(photo.pk)
            logger.warning("Photo %s cannot be indexed (%s).", photo.pk, type(error).__name__)
            return None

    def _store(
        self,
        classifier: Classifier,
        loaded: LoadedClassifier,
        rows: Sequence[Row],
        images: Sequence[Image.Image | None],
    ) -> None:
        readable = [(row, image) for row, image in zip(rows, images, strict=True) if image is not None]
        outcomes = loaded.classify([image for _row, image in readable])
        vectors: dict[UUID | int, list[float]] = {}
        for (row, _image), outcome in zip(readable, outcomes, strict=True):
            try:
                vectors[row.pk] = project(outcome.features).tolist()
            except ValueError as error:
                self._unreadable.add(row.pk)
                logger.warning("%s has no place among similar cases: %s", row, error)
        _insert(type(rows[0]), classifier, vectors)


def references_waiting(classifier: Classifier) -> "QuerySet[ReferencePicture]":
    """Pictures of data sets without a vector of this classifier."""
    made = FeatureVector.objects.filter(classifier=classifier, reference=OuterRef("pk"))
    known = KnownImage.objects.filter(original_sha256=OuterRef("original_sha256"))
    return ReferencePicture.objects.filter(~Exists(made), Exists(known)).order_by("pk")


def photos_waiting(classifier: Classifier) -> "QuerySet[Photo]":
    """Analysed photos without a vector of this classifier: confirmed ones first, then the newest."""
    made = FeatureVector.objects.filter(classifier=classifier, photo=OuterRef("pk"))
    confirmed = Exists(Finding.objects.filter(photo=OuterRef("pk")))
    photos = Photo.objects.filter(~Exists(made), status=Photo.Status.PREDICTED)
    return photos.alias(confirmed=confirmed).order_by("-confirmed", "-created", "-pk")


def keep_vector(*, photo_id: UUID, classifier: Classifier, features: NDArray[np.floating]) -> None:
    """Save the vector of a photo that was just analysed. Nothing is saved if the photo was erased meanwhile.

    Raises ValueError for invalid features (`projection.project`).
    """
    _insert(Photo, classifier, {photo_id: project(features).tolist()})


def _insert(
    model: type[Photo] | type[ReferencePicture], classifier: Classifier, vectors: Mapping[Any, list[float]]
) -> None:
    """Save vectors by the key of their picture. Nothing is saved for deleted pictures.

    A deletion locks the row first. So the row is gone by now, or its vector will be deleted with it.
    """
    of_what = "photo_id" if model is Photo else "reference_id"
    manager: Any = model._default_manager
    with transaction.atomic():
        left = manager.select_for_update(no_key=True).filter(pk__in=list(vectors)).values_list("pk", flat=True)
        FeatureVector.objects.bulk_create(
            [FeatureVector(classifier=classifier, values=vectors[key], **{of_what: key}) for key in left],
            ignore_conflicts=True,
        )


def measure_scale(classifier: Classifier) -> None:
    """Measure the usual similarity of cases of different lesions again, if the number of cases has changed."""
    cases = case_vectors(classifier)
    count = cases.count()
    index, new = FeatureIndex.objects.get_or_create(classifier=classifier)
    measured = index.median_similarity is not None
    if count < SCALE_MIN:
        middle = low = None
    elif not new and measured and abs(count - index.cases) <= CHANGED * index.cases:
        return
    else:
        middle, low = _neighbour_similarities(cases)
    FeatureIndex.objects.filter(pk=index.pk).update(
        cases=count, median_similarity=middle, low_similarity=low, updated=timezone.now()
    )


def _neighbour_similarities(cases: "QuerySet[FeatureVector]") -> tuple[float, float]:
    """Median and `LOW_SHARE` quantile of the cosine to the nearest case of another lesion, in a sample."""
    keys, rows = read_matrix(cases)
    groups = _groups(cases, keys)
    # Evenly spaced, not random, so that the result is reproducible.
    sample = np.unique(np.linspace(0, len(keys) - 1, num=min(SCALE_SAMPLE, len(keys))).astype(int))
    similarities = rows[sample] @ rows.T
    similarities[groups[sample][:, None] == groups[None, :]] = -1.0
    best = similarities.max(axis=1)
    return float(np.median(best)), float(np.quantile(best, LOW_SHARE))


def _groups(cases: "QuerySet[FeatureVector]", keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """A group number for each case, in the order of `keys`: by lesion, else by person, else by file."""
    shas = dict(cases.filter(reference__isnull=False).values_list("pk", "reference__original_sha256"))
    lesions: dict[str, str] = {}
    known = KnownImage.objects.exclude(lesion="").filter(original_sha256__in=set(shas.values()))
    for sha256, dataset, lesion in known.values_list("original_sha256", "dataset", "lesion").iterator():
        lesions[sha256] = f"{dataset}/{lesion}"
    people = dict(cases.filter(photo__isnull=False).values_list("pk", "photo__owner"))
    numbers: dict[object, int] = {}
    named = (
        lesions.get(shas[key], shas[key]) if key in shas else ("person", people.get(key)) for key in map(int, keys)
    )
    return np.array([numbers.setdefault(name, len(numbers)) for name in named], dtype=np.int64)


def _reference_image(row: ReferencePicture) -> Image.Image:
    return read_image(bytes(row.jpeg), limits=IntakeLimits())


def _note(classifier: Classifier, *, waiting: int) -> None:
    FeatureIndex.objects.update_or_create(
        classifier=classifier, defaults={"waiting": waiting, "updated": timezone.now()}
    )


def _drop_old_vectors() -> None:
    """Delete the vectors of all classifiers except the live one and its predecessor, which is kept for a rollback."""
    kept = Classifier.objects.filter(promoted__isnull=False).order_by("-promoted").values_list("pk", flat=True)[:2]
    FeatureVector.objects.exclude(classifier__in=list(kept)).delete()
    FeatureIndex.objects.exclude(classifier__in=list(kept)).delete()
