"""Own which pictures are shown to a clinician as similar confirmed cases, and in what words.

A case is a picture of an imported data set, or a patient's photo with a finding. Never shown beside a photo: other
photos of the same patient, the same picture under another name, and pictures of the same lesion. Of several pictures
of one lesion only the nearest is shown. What is read here is asked of the database anew every time, so that a photo
erased a second ago is not among them.
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
"""A row of pictures that the eye still compares."""

ASKED: Final = 60
"""How many neighbours are fetched: ISIC 2019 has up to 31 pictures of one lesion, most have one or two."""


class State(StrEnum):
    """Why there are cases, or none."""

    READY = "ready"
    PREPARING = "preparing"
    """The photo has no vector of the live classifier yet; the inference worker comes to it."""
    NONE = "none"
    """No classifier is live, or there is no confirmed case at all."""


@dataclass(frozen=True)
class SimilarCase:
    """One neighbour: either `photo`, a patient's, or `picture`, the key of a `ReferencePicture`.

    `truth` is its diagnosis with its source; `similarity` the cosine, -1 to 1; `words` what that means among these
    cases, empty where they are too few to say.
    """

    truth: GroundTruth
    similarity: float
    words: str | Promise
    photo: Photo | None = None
    picture: int | None = None
    name: str = ""


@dataclass(frozen=True)
class SimilarCases:
    """The nearest cases, nearest first, and among how many they were found."""

    state: State
    cases: list[SimilarCase] = field(default_factory=list)
    searched: int = 0

    @property
    def tally(self) -> list[tuple[str, int]]:
        """Diagnosis code and how many of the shown cases have it, the most frequent first."""
        codes = [case.truth.diagnosis for case in self.cases]
        return sorted(((code, codes.count(code)) for code in dict.fromkeys(codes)), key=lambda pair: -pair[1])


def case_vectors(classifier: Classifier) -> "QuerySet[FeatureVector]":
    """The vectors of everything confirmed, for one classifier.

    A picture that its last data set has just left is among them for seconds, until the worker drops it; none is shown.
    """
    # One pass over the vectors against one list of photos: asking for every row by itself takes twenty times as long.
    confirmed = Finding.objects.order_by().values("photo")
    return FeatureVector.objects.filter(Q(reference__isnull=False) | Q(photo__in=confirmed), classifier=classifier)


def similar_cases(*, photo: Photo, by: User, count: int = SHOWN) -> SimilarCases:
    """The `count` nearest confirmed cases of other lesions and other patients.

    They show other people's photos: NotAllowed for anybody but clinicians and administrators.
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
    """Vectors of what is not another case: this patient's, this picture's, this lesion's."""
    same = {photo.original_sha256}
    if photo.recognised_as is not None:
        same.add(photo.recognised_as.original_sha256)
        same |= _same_lesion(photo.recognised_as)
    # By keys, which are few: as one query over joined tables it reads every vector there is.
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
    """The files of all pictures of this lesion, as any data set that has the picture names it."""
    named = KnownImage.objects.filter(original_sha256=image.original_sha256).exclude(lesion="")
    pairs = Q(pk__in=[])
    for dataset, lesion in named.values_list("dataset", "lesion"):
        pairs |= Q(dataset=dataset, lesion=lesion)
    return set(KnownImage.objects.filter(pairs).values_list("original_sha256", flat=True))


def _described(
    found: dict[int, float], index: FeatureIndex | None, by: User
) -> Iterator[tuple[set[Hashable], SimilarCase]]:
    """Each found vector's case, nearest first, with all names of its lesion; what has gone meanwhile is left out."""
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
                # Where several data sets have the picture, the newest says what it is: labels are corrected there.
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
    """What a lesion is called: by its file, and by every data set that has it."""
    return {file, *((image.dataset, image.lesion) for image in images if image.lesion)}


def in_words(similarity: float, index: FeatureIndex | None) -> str | Promise:
    """How near, measured by how near cases of different lesions usually lie to each other; "" where nobody knows."""
    if index is None or index.median_similarity is None or index.low_similarity is None:
        return ""
    if similarity >= index.median_similarity:
        return _("Very similar")
    if similarity >= index.low_similarity:
        return _("Similar")
    return _("Only remotely similar")
