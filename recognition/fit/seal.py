"""The last step of a run: calibrate and measure the drafted classifier, and seal it.

The calibration split gives the temperature and the thresholds, and together with some training pictures the gates. The
test split is used once, here, for the metrics of the manifest. All outputs come from the exported graph, the same that
will answer patients.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.examples import Examples, fingerprint_of_test
from recognition.datasets.identity import picture_ids
from recognition.datasets.pictures import Pictures
from recognition.datasets.sources import SOURCES, licence_text, sources_of
from recognition.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION, Split, lesions_of
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.evaluation.measure import split_metrics
from recognition.fit.calibration import choose_operating_points, fit_temperature
from recognition.fit.calibration.assessment import ENOUGH, LEARNED_PER_DIAGNOSIS, fit_assessment, measure_assessment
from recognition.inference.bundle import WEIGHTS_NAME, Bundle, file_sha256
from recognition.inference.calibration import Calibration, softmax
from recognition.inference.detectors import Detectors
from recognition.inference.learned import Learned
from recognition.inference.network import Architecture
from recognition.inference.preprocessing import Preprocessing, preprocess
from recognition.inference.sealing import draft_bundle, seal_bundle
from recognition.progress import Progress, Report, silent
from recognition.recipes import Recipe
from recognition.taxonomy import CODES, DERMOSCOPIC

if TYPE_CHECKING:
    import keras

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
    test_probabilities: dict[str, NDArray[np.float64]] | None = None,
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
        test_probabilities=test_probabilities,
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
    views: int = 1,
    keep_answers: Path | None = None,
    test_probabilities: dict[str, NDArray[np.float64]] | None = None,
    report: Report = silent,
) -> Bundle:
    """Export, calibrate, measure and seal a trained network.

    `views` of each picture are averaged, in every figure and in serving. `keep_answers` is a folder that caches the
    network's outputs for the next sealing of the same weights. `test_probabilities` gets the calibrated probabilities
    (8,) of each test picture, so that an evaluation need not compute them again. `ancestry` and `learned` are those of
    `fit.learned`, `absent` are the codes of diagnoses that were not learned and are never answered.

    Raises SealingError, ExportError or OSError; `directory` is then unchanged.
    """
    draft = draft_bundle(
        network,
        architecture=architecture,
        preprocessing=preprocessing,
        beside=directory,
    )
    try:
        labels = _labels(examples)
        cache = None
        if keep_answers is not None:
            weights = file_sha256(draft.folder / WEIGHTS_NAME)
            cache = AnswerCache(keep_answers, examples.fingerprint, f"{architecture.backbone}:{weights}")

        def answers(images: Sequence[str], views: int) -> Answers:
            return Answers.of(
                draft.backend,
                images,
                labels=labels,
                pictures=pictures,
                preprocessing=preprocessing,
                views=views,
                cache=cache,
                report=report,
            )

        # Of the training pictures only features and statistics are used, which are those of the upright view.
        enough = len(split.images(CALIBRATION)) >= ENOUGH
        # A random choice that is the same every time.
        shuffled = sorted(split.images(TRAIN), key=lambda image: hashlib.sha256(image.encode()).hexdigest())
        known = answers(_first_of_each(shuffled, labels, LEARNED_PER_DIAGNOSIS), 1) if enough else None
        seen = {name: answers(split.images(name), views) for name in (CALIBRATION, TEST)}
        logits = {name: each.logits for name, each in seen.items()}
        temperature = fit_temperature(logits[CALIBRATION], seen[CALIBRATION].labels)
        probabilities = {name: softmax(each / temperature) for name, each in logits.items()}
        points = choose_operating_points(seen[CALIBRATION].labels, probabilities[CALIBRATION])
        lesions = lesions_of(examples.table, split.images(TEST))
        figures = {
            "split": TEST,
            **split_metrics(
                seen[TEST].labels,
                probabilities[TEST],
                groups=lesions,
                uncalibrated=softmax(logits[TEST]),
                operating_points=points,
            ),
        }
        block, ood_detector = fit_assessment(
            learned=known,
            calibration=seen[CALIBRATION],
            probabilities=probabilities[CALIBRATION],
        )
        figures |= measure_assessment(
            block, ood_detector, test=seen[TEST], probabilities=probabilities[TEST], lesions=lesions
        )
        if test_probabilities is not None:
            test_probabilities |= dict(zip(split.images(TEST), probabilities[TEST], strict=True))
        probe = _probe(split.images(VALIDATION), labels, preprocessing, pictures)
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
        image_types={
            DERMOSCOPIC: {
                "calibration": Calibration(temperature=temperature).as_json(),
                "operating_points": [asdict(point) for point in points],
                "assessment": block,
                "metrics": figures,
            }
        },
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
        detectors=None if ood_detector is None else Detectors({DERMOSCOPIC: ood_detector}),
        views=views,
        licence=licence_text(sources),
        ancestry=ancestry,
        absent=absent,
        learned=learned,
    )
    report(Progress("seal", 1, 1))
    return bundle


def _first_of_each(images: Sequence[str], labels: Mapping[str, int], count: int) -> list[str]:
    """The first `count` images of each diagnosis, by diagnosis."""
    return [
        image
        for position in range(len(CODES))
        for image in [each for each in images if labels[each] == position][:count]
    ]


def _labels(examples: Examples) -> dict[str, int]:
    positions = {code: position for position, code in enumerate(CODES)}
    return {
        image: positions[diagnosis]
        for image, diagnosis in zip(examples.table["image"], examples.table["diagnosis"], strict=True)
    }


def _probe(
    images: Sequence[str], labels: Mapping[str, int], preprocessing: Preprocessing, pictures: Pictures
) -> NDArray[np.float32]:
    chosen = _first_of_each(images, labels, PROBE_PER_DIAGNOSIS)
    return np.stack([preprocess(pictures.picture(image), preprocessing) for image in chosen])
