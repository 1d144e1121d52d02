"""The last step of a run: calibrate and measure the drafted classifier, and seal it.

Everything is fitted and measured for each kind of picture by itself. The calibration split gives the calibration and
the thresholds, and together with some training pictures the gates. The metadata table is learned from the rows of the
training split. The test split is used once, here, for the metrics of the manifest. All outputs come from the exported
graph, the same that will answer patients.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.examples import Examples, fingerprint_of_test, metadata_of
from recognition.datasets.identity import picture_ids
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import Pictures
from recognition.datasets.sources import SOURCES, licence_text, sources_of
from recognition.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION, Split, split_groups
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.fit.calibration.assessment import (
    ENOUGH,
    LEARNED_PER_DIAGNOSIS,
    Seen,
    fit_image_type,
    measure_image_type,
)
from recognition.fit.calibration.image_type import fit_image_type_head, measure_image_type_head
from recognition.fit.calibration.lesion import fit_lesion, measure_lesion
from recognition.fit.calibration.metadata_table import learn_table, learnable
from recognition.fit.calibration.other_pictures import direction_of_others, measure_others
from recognition.inference.assessor import AssessmentSettings, Assessor, ImageTypeSettings
from recognition.inference.bundle import WEIGHTS_NAME, Bundle, OperatingPoint, file_sha256
from recognition.inference.case_mix import HAM10000, CaseMix
from recognition.inference.detectors import Detectors
from recognition.inference.learned import Learned
from recognition.inference.metadata import MetadataTable
from recognition.inference.network import Architecture
from recognition.inference.outputs import PictureOutputs
from recognition.inference.preprocessing import Preprocessing, preprocess
from recognition.inference.sealing import draft_bundle, seal_bundle
from recognition.progress import Progress, Report, silent
from recognition.recipes import Recipe
from recognition.taxonomy import CODES, DERMOSCOPIC, IMAGE_TYPES

if TYPE_CHECKING:
    import keras

NO_DIAGNOSIS: Final = -1
"""Instead of a position in `CODES`, for pictures of none of the eight."""

PROBE_PER_DIAGNOSIS: Final = 4
"""Validation pictures of each diagnosis on which Keras and the graph are compared."""


def seal_network(
    network: "keras.Model",
    *,
    recipe: Recipe,
    examples: Examples,
    split: Split,
    pictures: Pictures,
    directory: Path,
    version: str,
    provenance: Mapping[str, Any],
    ancestry: Sequence[Mapping[str, Any]] = (),
    absent: Sequence[str] = (),
    learned: Learned | None = None,
    others: OtherPictures | None = None,
    views: int = 1,
    test_outputs: dict[str, PictureOutputs] | None = None,
    report: Report = silent,
) -> Bundle:
    """Export, calibrate, measure and seal a network that was trained by a recipe; see `seal_measured`."""
    return seal_measured(
        network,
        architecture=recipe.architecture,
        preprocessing=recipe.preprocessing,
        recipe=recipe.as_json(),
        examples=examples,
        split=split,
        pictures=pictures,
        directory=directory,
        version=version,
        provenance=provenance,
        ancestry=ancestry,
        absent=absent,
        learned=learned,
        others=others,
        views=views,
        test_outputs=test_outputs,
        report=report,
    )


def seal_measured(
    network: "keras.Model",
    *,
    architecture: Architecture,
    preprocessing: Preprocessing,
    recipe: Mapping[str, Any],
    examples: Examples,
    split: Split,
    pictures: Pictures,
    directory: Path,
    version: str,
    provenance: Mapping[str, Any],
    ancestry: Sequence[Mapping[str, Any]] = (),
    absent: Sequence[str] = (),
    learned: Learned | None = None,
    case_mix: CaseMix = HAM10000,
    views: int = 1,
    keep_answers: Path | None = None,
    others: OtherPictures | None = None,
    test_outputs: dict[str, PictureOutputs] | None = None,
    report: Report = silent,
) -> Bundle:
    """Export, calibrate, measure and seal a trained network.

    `case_mix` is what the probabilities are for, the same for every kind of picture. `views` of each picture are
    averaged, in every figure and in serving. `keep_answers` is a folder that caches the network's outputs for the next
    sealing of the same weights. `test_outputs` gets the outputs of each test picture, so that an evaluation need not
    compute them again. `ancestry` and `learned` are those of `fit.learned`, `absent` are the codes of diagnoses that
    were not learned and are never answered. From one half of `others` the OOD gates learn what shows none of the eight,
    and the share refused of the other half is sealed.

    Raises SealingError, ExportError or OSError; `directory` is then unchanged.
    """
    draft = draft_bundle(network, architecture=architecture, preprocessing=preprocessing, beside=directory)
    try:
        data = SplitData(examples, split)
        weights = "" if keep_answers is None else file_sha256(draft.folder / WEIGHTS_NAME)

        def answers(images: Sequence[str], views: int, of: OtherPictures | None = None) -> Answers:
            cache = None
            if keep_answers is not None:
                fingerprint = (examples if of is None else of).fingerprint
                cache = AnswerCache(keep_answers, fingerprint, f"{architecture.backbone}:{weights}")
            return Answers.of(
                draft.backend,
                images,
                labels=data.labels if of is None else dict.fromkeys(images, NO_DIAGNOSIS),
                pictures=pictures if of is None else of.pictures,
                preprocessing=preprocessing,
                views=views,
                cache=cache,
                report=report,
            )

        kinds = known_image_types(data)
        # Of the training pictures only features and statistics are used, which are those of the upright view.
        known = {
            kind: answers(data.to_learn_from(kind), 1)
            for kind in kinds
            if len(data.images(CALIBRATION, kind)) >= ENOUGH
        }
        calibration = {kind: data.seen(answers(data.images(CALIBRATION, kind), views)) for kind in kinds}
        test = {kind: data.seen(answers(data.images(TEST, kind), views)) for kind in data.image_types(TEST)}
        others_seen = None if others is None else answers(others.images, views, others)
        made = _fit(
            known,
            calibration,
            table=learn_table(learnable(examples, split), case_mix),
            case_mix=case_mix,
            others=None if others is None or others_seen is None else others_seen.features[others.learned],
        )
        outputs = {
            kind: made.detectors.measure(each.answers.logits, each.answers.features, each.answers.statistics)
            for kind, each in test.items()
        }
        if test_outputs is not None:
            for kind, each in test.items():
                test_outputs |= zip(each.answers.images, outputs[kind], strict=True)
        made.measure(test, outputs, case_mix=case_mix, absent=absent)
        other_figures: dict[str, Any] = {}
        if others is not None and others_seen is not None:
            measured = made.detectors.measure(others_seen.logits, others_seen.features, others_seen.statistics)
            held_out = [each for each, learned_it in zip(measured, others.learned, strict=True) if not learned_it]
            other_figures = measure_others(others, held_out, made.assessor(case_mix, absent))
        probe = _probe(split.images(VALIDATION), data.labels, preprocessing, pictures)
    except BaseException:
        draft.discard()
        raise
    report(Progress("seal", 0, 1))
    named = {
        *sources_of(picture_ids(examples.table, examples.table["image"].tolist())),
        *(name for each in ancestry for name in each["sources"]),
    }
    sources = [name for name in SOURCES if name in named]
    bundle = seal_bundle(
        draft,
        directory=directory,
        version=version,
        probe=probe,
        image_types=made.image_types,
        detectors=made.detectors if made.detectors.as_tensors() else None,
        case_mix=case_mix,
        lesion=made.lesion,
        metadata_table=made.table,
        image_type_head=made.image_type_head,
        other_pictures=other_figures,
        dataset={
            "name": examples.name,
            "fingerprint": examples.fingerprint,
            "pictures": len(examples),
            # Of the ancestors' pictures as well.
            "sources": sources,
        },
        split={
            "fingerprint": split.fingerprint,
            # Of the test pictures alone: later versions of the data set keep them, so classifiers stay comparable.
            "test_fingerprint": split.test_fingerprint,
            # Of their labels and pixels as well; comparisons use this one.
            "test_content_fingerprint": fingerprint_of_test(examples.table, split),
            "seed": split.seed,
            "shares": dict(split.shares),
            "pictures": {name: len(split.images(name)) for name in split.shares},
        },
        recipe=recipe,
        provenance=provenance,
        views=views,
        licence=licence_text(sources),
        ancestry=ancestry,
        absent=absent,
        learned=None if learned is None else replace(learned, fitted=_fitted(examples, split)),
    )
    report(Progress("seal", 1, 1))
    return bundle


def _fitted(examples: Examples, split: Split) -> NDArray[np.int64]:
    """The hashes of all rows to which calibration, gates and metadata table may be fitted; see `Learned.fitted`."""
    images = [image for name in (TRAIN, CALIBRATION) for image in split.images(name)]
    further = examples.further
    return Learned.of([*picture_ids(examples.table, images), *picture_ids(further, further["image"].tolist())]).weights


class SplitData:
    """The data of a sealing, by split and kind of picture."""

    def __init__(self, examples: Examples, split: Split) -> None:
        positions = {code: position for position, code in enumerate(CODES)}
        self.table = examples.table.set_index("image", drop=False)
        self.labels = {
            str(image): positions[code]
            for image, code in zip(examples.table["image"], examples.table["diagnosis"], strict=True)
        }
        self._split = split
        self._groups = dict(zip(examples.table["image"], split_groups(examples.table), strict=True))
        # Data sets from before there were kinds of picture hold dermoscopic ones.
        self._kinds = dict(self.table["image_type"].replace("", DERMOSCOPIC).fillna(DERMOSCOPIC))

    def image_types(self, split: str) -> list[str]:
        """The kinds of which the split has a picture, in the order of `IMAGE_TYPES`."""
        return [kind for kind in IMAGE_TYPES if self.images(split, kind)]

    def images(self, split: str, image_type: str) -> list[str]:
        """The pictures of one kind in a split, sorted."""
        return [image for image in self._split.images(split) if self._kinds[image] == image_type]

    def to_learn_from(self, image_type: str) -> list[str]:
        """`LEARNED_PER_DIAGNOSIS` training pictures of one kind, by diagnosis."""
        # A random choice that is the same every time.
        shuffled = sorted(self.images(TRAIN, image_type), key=lambda image: hashlib.sha256(image.encode()).hexdigest())
        return _first_of_each(shuffled, self.labels, LEARNED_PER_DIAGNOSIS)

    def seen(self, answers: Answers) -> Seen:
        """The outputs with the rows of the pictures, their lesions or patients, and what is known beside them."""
        images = list(answers.images)
        rows = self.table.loc[images].reset_index(drop=True)
        groups = np.array([self._groups[image] for image in images], dtype=object)
        return Seen(answers, rows, groups, metadata_of(rows, images))


def known_image_types(data: SplitData) -> list[str]:
    """The kinds of picture that a bundle of these data knows.

    The one with most calibration pictures, and every other with `ENOUGH` of them and a test picture to measure on.
    """
    counts = {kind: len(data.images(CALIBRATION, kind)) for kind in data.image_types(TEST)}
    return [kind for kind, count in counts.items() if count >= ENOUGH or count == max(counts.values())]


@dataclass
class _Made:
    """What is sealed beside the network: parts of the manifest, and the detectors."""

    image_types: dict[str, dict[str, Any]]
    detectors: Detectors
    table: MetadataTable
    lesion: dict[str, Any]
    image_type_head: dict[str, Any]

    def assessor(self, case_mix: CaseMix, absent: Sequence[str]) -> Assessor:
        """The assessor with what was fitted."""
        return Assessor(
            image_types={kind: ImageTypeSettings.from_json(block) for kind, block in self.image_types.items()},
            case_mix=case_mix,
            table=self.table,
            absent=tuple(absent),
            lesion=AssessmentSettings.from_json(self.lesion) if self.lesion else None,
        )

    def measure(
        self,
        test: Mapping[str, Seen],
        outputs: Mapping[str, Sequence[PictureOutputs]],
        *,
        case_mix: CaseMix,
        absent: Sequence[str],
    ) -> None:
        """Add the metrics of the test split to all parts."""
        assessor = self.assessor(case_mix, absent)
        known = {kind: test[kind] for kind in self.image_types}
        for kind, block in self.image_types.items():
            block["metrics"] = measure_image_type(
                kind,
                assessor=assessor,
                points=[OperatingPoint(**point) for point in block["operating_points"]],
                limits=block["assessment"],
                test=known[kind],
                outputs=outputs[kind],
            )
        if self.lesion:
            self.lesion["metrics"] = measure_lesion(known, outputs, assessor)
        if self.detectors.image_type is not None:
            self.image_type_head["metrics"] = measure_image_type_head(
                np.concatenate([np.full(len(each.answers), kind == DERMOSCOPIC) for kind, each in test.items()]),
                np.array([each.dermoscopic for kind in test for each in outputs[kind]]),
                np.concatenate([each.groups for each in test.values()]),
            )


def _fit(
    known: Mapping[str, Answers],
    calibration: Mapping[str, Seen],
    *,
    table: MetadataTable,
    case_mix: CaseMix,
    others: NDArray[np.floating] | None = None,
) -> _Made:
    """Everything that is fitted; `known` are the outputs for training pictures of the kinds that get gates.

    `others` are features (M, C) of pictures of none of the eight.
    """
    image_types, ood = {}, {}
    direction = None
    if others is not None and known:
        direction = direction_of_others(np.concatenate([each.features for each in known.values()]), others)
    for kind, seen in calibration.items():
        block, detector = fit_image_type(
            learned=known.get(kind), calibration=seen, table=table, case_mix=case_mix, others=direction
        )
        image_types[kind] = block
        if detector is not None:
            ood[kind] = detector
    lesion: dict[str, Any] = {}
    head = None
    if set(known) == set(IMAGE_TYPES):
        head = fit_image_type_head(
            np.concatenate([known[kind].features for kind in IMAGE_TYPES]),
            np.concatenate([np.full(len(known[kind]), kind == DERMOSCOPIC) for kind in IMAGE_TYPES]),
        )
        calibrations = {kind: ImageTypeSettings.from_json(block).calibration for kind, block in image_types.items()}
        if (decision := fit_lesion(calibration, calibrations, case_mix)) is not None:
            lesion["decision"] = decision
    return _Made(image_types, Detectors(ood, head), table, lesion, {})


def _first_of_each(images: Sequence[str], labels: Mapping[str, int], count: int) -> list[str]:
    """The first `count` images of each diagnosis, by diagnosis."""
    return [
        image
        for position in range(len(CODES))
        for image in [each for each in images if labels[each] == position][:count]
    ]


def _probe(
    images: Sequence[str], labels: Mapping[str, int], preprocessing: Preprocessing, pictures: Pictures
) -> NDArray[np.float32]:
    chosen = _first_of_each(images, labels, PROBE_PER_DIAGNOSIS)
    return np.stack([preprocess(pictures.picture(image), preprocessing) for image in chosen])
