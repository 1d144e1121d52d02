"""Selects the similar confirmed cases that a clinician sees beside a photo, and describes their similarity.

A case is a picture of an imported data set, or a patient's photo with a finding. Never shown: other photos of the same
patient, the same picture under another name, and pictures of the same lesion. Of several pictures of one lesion only
the nearest is shown. Cases are not cached, so that a photo that was just erased is not among them.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import GroundTruth, KnownImage, Photo
from diagnoses.readings.models import Finding
from diagnoses.similar.models import FeatureIndex, FeatureVector, ReferencePicture
from diagnoses.similar.search import nearest

SHOWN: Final = 6
"""The number of cases shown: one row of pictures."""

ASKED: Final = 60
"""The number of neighbours fetched: ISIC 2019 has up to 31 pictures of one lesion, most have one or two."""


class State(StrEnum):
    """Whether there are cases, or why not."""

    READY = "ready"
    PREPARING = "preparing"
    """The photo has no vector of the live classifier yet. The inference worker will make it."""
    NONE = "none"
    """No classifier is live, or there are no confirmed cases."""


@dataclass(frozen=True)
class SimilarCase:
    """One neighbour: a patient's `photo`, or `picture`, the key of a `ReferencePicture`.

    `truth` is its diagnosis with the source. `similarity` is the cosine, -1 to 1. `words` describes it relative to all
    cases; empty if there are too few.
    """

    truth: GroundTruth
    similarity: float
    words: str | Promise
    photo: Photo | None = None
    picture: int | None = None
    name: str = ""


@dataclass(frozen=True)
class SimilarCases:
    """The nearest cases, nearest first, and the number of all cases."""

    state: State
    cases: list[SimilarCase] = field(default_factory=list)
    searched: int = 0

    @property
    def tally(self) -> list[tuple[str, int]]:
        """Diagnosis codes with the number of shown cases, the most frequent first."""
        codes = [case.truth.diagnosis for case in self.cases]
        return sorted(((code, codes.count(code)) for code in dict.fromkeys(codes)), key=lambda pair: -pair[1])


def case_vectors(classifier: Classifier) -> "QuerySet[FeatureVector]":
    """The vectors of all confirmed cases, for one classifier.

    Pictures whose last data set was deleted stay for seconds, until the worker deletes them; they are not shown.
    """
    # One scan of the vectors with one list of photos. A subquery for each row takes twenty times as long.
    confirmed = Finding.objects.order_by().values("photo")
    return FeatureVector.objects.filter(Q(reference__isnull=False) | Q(photo__in=confirmed), classifier=classifier)


def similar_cases(*, photo: Photo, by: User, count: int = SHOWN) -> SimilarCases:
    """The `count` nearest confirmed cases of other lesions and other patients.

    They show photos of other people. Raises NotAllowed unless `by` is a clinician or an administrator.
    """
    if not by.sees_all_patients:
        raise NotAllowed("Only clinicians see other patients' cases.")
    live = Classifier.objects.live()
    if live is None:
        return SimilarCases(State.NONE)
    cases = case_vectors(live)
    own = FeatureVector.objects.filter(classifier=live, photo=photo).first()
    if own is None:
        return SimilarCases(State.PREPARING if cases.exists() else State.NONE)
    found = dict(nearest(cases, own.values, leave_out=_too_close(photo, live), count=ASKED))
    index = FeatureIndex.objects.filter(classifier=live).first()
    chosen: list[SimilarCase] = []
    taken: set[Hashable] = set()
    for names, case in _described(found, index, by):
        if len(chosen) < count and not names & taken:
            chosen.append(case)
            taken |= names
    searched = cases.count()
    return SimilarCases(State.READY if chosen else State.NONE, chosen, searched)


def _too_close(photo: Photo, classifier: Classifier) -> "QuerySet[FeatureVector]":
    """The vectors to leave out: of this patient, this picture and this lesion."""
    same = {photo.original_sha256}
    if photo.recognised_as is not None:
        same.add(photo.recognised_as.original_sha256)
        same |= _same_lesion(photo.recognised_as)
    # First the few keys: one query over joined tables would read all vectors.
    photos = Photo.objects.filter(
        Q(owner=photo.owner_id) | Q(original_sha256__in=same) | Q(recognised_as__original_sha256__in=same)
    )
    pictures = ReferencePicture.objects.filter(original_sha256__in=same)
    return FeatureVector.objects.filter(
        Q(photo__in=list(photos.values_list("pk", flat=True)))
        | Q(reference__in=list(pictures.values_list("pk", flat=True))),
        classifier=classifier,
    )


def _same_lesion(image: KnownImage) -> set[str]:
    """The files of all pictures of this lesion, by the lesion ids of all data sets with this picture."""
    named = KnownImage.objects.filter(original_sha256=image.original_sha256).exclude(lesion="")
    pairs = Q(pk__in=[])
    for dataset, lesion in named.values_list("dataset", "lesion"):
        pairs |= Q(dataset=dataset, lesion=lesion)
    return set(KnownImage.objects.filter(pairs).values_list("original_sha256", flat=True))


def _described(
    found: dict[int, float], index: FeatureIndex | None, by: User
) -> Iterator[tuple[set[Hashable], SimilarCase]]:
    """The case of each found vector, nearest first, with all ids of its lesion. Deleted ones are left out."""
    vectors = FeatureVector.objects.filter(pk__in=found).select_related("reference").defer("values", "reference__jpeg")
    rows = sorted(vectors, key=lambda vector: -found[vector.pk])
    photos = Photo.objects.visible_to(by).select_related("recognised_as").prefetch_related("findings")
    by_key = photos.defer("content_hash", "recognised_as__content_hash").in_bulk(
        [row.photo_id for row in rows if row.photo_id is not None]
    )
    files = {row.reference.original_sha256 for row in rows if row.reference is not None}
    files |= {photo.recognised_as.original_sha256 for photo in by_key.values() if photo.recognised_as is not None}
    known: dict[str, list[KnownImage]] = {}
    for image in KnownImage.objects.filter(original_sha256__in=files).defer("content_hash").order_by("pk"):
        known.setdefault(image.original_sha256, []).append(image)
    for row in rows:
        similarity = found[row.pk]
        words = in_words(similarity, index)
        if row.reference is not None:
            if images := known.get(row.reference.original_sha256):
                # If several data sets have the picture, use the diagnosis of the newest: it may be corrected.
                newest = images[-1]
                truth = GroundTruth(newest.diagnosis, "dataset", str(newest))
                case = SimilarCase(truth, similarity, words, picture=row.reference_id, name=newest.image)
                yield _names(row.reference.original_sha256, images), case
        elif row.photo_id in by_key and (truth_of_photo := by_key[row.photo_id].ground_truth) is not None:
            photo = by_key[row.photo_id]
            file = photo.original_sha256 if photo.recognised_as is None else photo.recognised_as.original_sha256
            names = _names(file, known.get(file, []))
            if photo.lesion_id is not None:
                names.add(photo.lesion_id)
            yield names, SimilarCase(truth_of_photo, similarity, words, photo=photo)


def _names(file: str, images: list[KnownImage]) -> set[Hashable]:
    """The ids of a lesion: its file, and the lesion ids of all data sets."""
    return {file, *((image.dataset, image.lesion) for image in images if image.lesion)}


def in_words(similarity: float, index: FeatureIndex | None) -> str | Promise:
    """The similarity in words, relative to that usual between different lesions. "" if that is unknown."""
    if index is None or index.median_similarity is None or index.low_similarity is None:
        return ""
    if similarity >= index.median_similarity:
        return _("Very similar")
    if similarity >= index.low_similarity:
        return _("Similar")
    return _("Only remotely similar")
