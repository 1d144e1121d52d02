"""OOD detection: fitted tensors, refused pictures, and on the default bundle real lesions against other things."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.fit.calibration.other_pictures import direction_of_others
from recognition.inference.assessment import Decision
from recognition.inference.bundle import Bundle, read_bundle
from recognition.inference.ood import OodDetector, check_ood, colour_statistics, statistics_of
from recognition.inference.runtime import LoadedClassifier, load_classifier
from recognition.taxonomy import DERMOSCOPIC
from tests.recognition.inference.not_lesions import made, samples

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"


def features(count: int, *, seed: int) -> np.ndarray:
    """Features (N, 24) that vary along six directions, and a little in all."""
    basis = np.random.default_rng(7).normal(size=(6, 24))
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 6)) @ basis + 0.1 * generator.normal(size=(count, 24))


def colours(count: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 6))


@pytest.fixture(scope="module")
def detector() -> OodDetector:
    return OodDetector.fit(
        features=features(400, seed=1),
        colours=colours(400, seed=1),
        calibration_features=features(100, seed=2),
        calibration_colours=colours(100, seed=2),
    )


def test_lesions_score_about_zero_and_other_pictures_far_above(detector: OodDetector) -> None:
    same = detector.score(features(100, seed=3), colours(100, seed=3))
    assert abs(same.mean()) < 1.0
    limit = float(np.quantile(detector.score(features(100, seed=2), colours(100, seed=2)), 0.975))
    assert np.mean(same > limit) < 0.12
    strange = np.random.default_rng(4).normal(0, 3, (50, 24))
    assert np.mean(detector.score(strange, colours(50, seed=4)) > limit) > 0.9
    assert np.mean(detector.score(features(50, seed=5), colours(50, seed=5) + 8) > limit) > 0.9
    assert check_ood(limit, limit).passed
    assert check_ood(limit + 0.1, limit).code == "unfamiliar"


def test_what_is_stored_measures_the_same(detector: OodDetector) -> None:
    again = OodDetector.from_tensors(detector.as_tensors())
    one, other = (each.score(features(20, seed=6), colours(20, seed=6)) for each in (detector, again))
    assert np.allclose(one, other, atol=1e-6)
    assert detector.as_tensors()["directions"].dtype == np.float16


@pytest.mark.parametrize(
    "change", [{"centre": np.zeros(3)}, {"scale": np.zeros((2, 2))}, {"colour_centre": [np.nan] * 6}]
)
def test_tensors_that_do_not_fit_are_refused(detector: OodDetector, change: dict[str, object]) -> None:
    tensors = detector.as_tensors() | {name: np.asarray(value) for name, value in change.items()}
    with pytest.raises(ValueError, match="familiarity"):
        OodDetector.from_tensors(tensors)
    with pytest.raises(ValueError, match="exactly"):
        OodDetector.from_tensors({"centre": np.zeros(3)})


def test_with_other_pictures_to_learn_from_what_is_like_them_scores_far_above(detector: OodDetector) -> None:
    known, others = features(400, seed=1), features(60, seed=8)
    others[:, 5] += 3  # within the main directions, where the residual sees little
    arguments = {
        "features": known,
        "colours": colours(400, seed=1),
        "calibration_features": features(100, seed=2),
        "calibration_colours": colours(100, seed=2),
    }
    taught = OodDetector.fit(others=direction_of_others(known, others), **arguments)
    unseen = features(60, seed=9)
    unseen[:, 5] += 3

    def refused(each: OodDetector) -> float:
        limit = np.quantile(each.score(features(100, seed=2), colours(100, seed=2)), 0.95)
        return float(np.mean(each.score(unseen, colours(60, seed=9)) > limit))

    assert refused(taught) >= 0.9
    again = OodDetector.from_tensors(taught.as_tensors())
    assert np.allclose(again.score(unseen, colours(60, seed=9)), taught.score(unseen, colours(60, seed=9)))
    assert set(taught.as_tensors()) - set(detector.as_tensors()) == {"others"}
    with pytest.raises(ValueError, match="others of the OOD detector"):
        OodDetector.from_tensors(taught.as_tensors() | {"others": np.ones(3)})


def test_one_picture_is_too_few_to_learn_from() -> None:
    with pytest.raises(ValueError, match="two pictures"):
        OodDetector.fit(
            features=features(1, seed=1),
            colours=colours(1, seed=1),
            calibration_features=features(9, seed=2),
            calibration_colours=colours(9, seed=2),
        )


def test_the_colour_statistics_tell_noise_from_grey_grain_and_heed_neither_size_nor_light() -> None:
    generator = np.random.default_rng(0)
    grain = np.repeat(generator.integers(60, 200, (150, 200, 1)), 3, axis=2).astype(np.uint8)
    noise = generator.integers(60, 200, (150, 200, 3), dtype=np.uint8)
    grey, coloured = (colour_statistics(Image.fromarray(each), reference_long_side=200) for each in (grain, noise))
    assert grey[0] > 2
    assert abs(coloured[0]) < 0.5
    large = Image.fromarray(grain).resize((2000, 1500), Image.Resampling.NEAREST)
    assert np.allclose(colour_statistics(large, reference_long_side=200), grey, atol=0.3)
    for flat in (Image.new("RGB", (300, 200)), Image.new("RGB", (1, 1)), Image.new("RGB", (2, 200), (9, 9, 9))):
        assert np.all(np.isfinite(colour_statistics(flat, reference_long_side=200)))
    assert statistics_of([], reference_long_side=200).shape == (0, 6)


# --- the default classifier


@pytest.fixture(scope="module")
def default() -> Bundle:
    bundle = read_bundle(ROOT / "bundles" / "default")
    if "familiarity" not in bundle.manifest.image_types[DERMOSCOPIC]["assessment"]:
        pytest.skip("the default bundle was sealed before there were gates")
    return bundle


@pytest.fixture(scope="module")
def classifier(default: Bundle) -> LoadedClassifier:
    return load_classifier(default, "onnx")


def test_the_sealed_gates_refuse_few_of_the_test_lesions(default: Bundle) -> None:
    gates = default.manifest.image_types[DERMOSCOPIC]["metrics"]["gates"]
    assert gates["familiarity"]["value"] <= 0.05
    assert gates["quality"]["value"] <= 0.02
    assert default.manifest.files["familiarity.safetensors"].size < 3_000_000


def test_other_things_are_refused(classifier: LoadedClassifier) -> None:
    pytest.importorskip("skimage", reason="needs scikit-image's sample pictures (requirements-dev.txt)")
    pictures = dict([*samples(), *made()])
    outcomes = classifier.classify(list(pictures.values()))
    passed = [
        name
        for name, outcome in zip(pictures, outcomes, strict=True)
        if outcome.assessment.decision != Decision.NOT_ASSESSED
    ]
    # The cat passes as a close-up: this network was never taught one, so its gate for them is wider.
    for name in ("page.png", "text.png", "noise", "document", "car"):
        assert name not in passed
    assert not [name for name in passed if name.startswith("bare skin")]
    # Nothing refuses everything that is no lesion; one in ten is the most that may pass here.
    assert len(passed) <= len(pictures) // 10, passed


def test_lesions_that_were_never_trained_on_are_assessed(classifier: LoadedClassifier) -> None:
    folder = DATA / "isic2019-subset"
    if not folder.is_dir():
        pytest.skip("needs the pictures of ../shared/data/isic2019-subset")
    from recognition.datasets.examples import read_examples
    from recognition.datasets.pictures import PictureStore
    from recognition.datasets.splits import split_examples

    prefix = "ISIC_2019_Training_"
    with PictureStore(folder / f"{prefix}Input.zip") as pictures:
        examples = read_examples(
            name="isic2019-subset",
            ground_truth=folder / f"{prefix}GroundTruth.csv",
            metadata=folder / f"{prefix}Metadata.csv",
            pictures=pictures,
        )
        images = split_examples(examples.table).images("test")
        chosen = sorted(images, key=lambda image: hashlib.sha256(image.encode()).hexdigest())[:120]
        outcomes = classifier.classify([pictures.picture(image) for image in chosen])
    refused = np.mean([outcome.assessment.decision == Decision.NOT_ASSESSED for outcome in outcomes])
    assert refused <= 0.08  # 5 % and two standard errors of 120 pictures


def test_the_corner_of_a_photo_where_there_is_only_skin_is_refused(classifier: LoadedClassifier) -> None:
    photos = DATA / "photos-450px"
    if not photos.is_dir():
        pytest.skip("needs the pictures of ../shared/data/photos-450px")
    with (photos / "metadata.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["colour_recombined"] == "0" and row["diagnosis"] == "NV"]
    corners = []
    for row in rows:
        picture = Image.open(photos / f"{row['image']}.jpg").convert("RGB")
        corner = picture.crop((0, 0, picture.width // 4, picture.height // 4))
        if np.asarray(corner.convert("L")).mean() > 120:  # no dark corner of the dermatoscope
            corners.append(corner.resize((corner.width * 3, corner.height * 3), Image.Resampling.BICUBIC))
    assert len(corners) >= 8
    outcomes = classifier.classify(corners)
    assert np.mean([outcome.assessment.decision == Decision.NOT_ASSESSED for outcome in outcomes]) >= 0.8
