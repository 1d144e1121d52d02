"""The quality gate: real pictures pass, the same ones blurred, dark, glaring or flat do not."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from recognition.inference.bundle import read_bundle
from recognition.inference.preprocessing import to_reference
from recognition.inference.quality import DEFAULT_LIMITS, LONG_SIDE_MIN, check_quality, limits_from, measure_quality
from recognition.inference.runtime import measure_and_prepare
from recognition.taxonomy import DERMOSCOPIC

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"
PICTURES = DATA / "isic2019-subset-400px" / "ISIC_2019_Training_Input.zip"


def textured(size: tuple[int, int] = (600, 450), *, seed: int = 0, level: float = 150.0) -> Image.Image:
    """A made picture with a dark spot and fine grain that is still there at 200 px."""
    generator = np.random.default_rng(seed)
    grain = np.kron(generator.normal(0, 14, (size[1] // 3 + 1, size[0] // 3 + 1)), np.ones((3, 3)))
    down, across = np.mgrid[0 : size[1], 0 : size[0]]
    spot = np.hypot(down - size[1] / 2, across - size[0] / 2) < size[1] / 4
    grey = level - 60 * spot + grain[: size[1], : size[0]]
    return Image.fromarray(np.clip(grey[..., None] * (1.15, 0.95, 0.85), 0, 255).astype(np.uint8))


def code(picture: Image.Image) -> str:
    return check_quality(measure_quality(picture), DEFAULT_LIMITS).code


def test_a_sharp_well_lit_picture_passes_at_any_size() -> None:
    for scale in (0.4, 1.0, 4.0):
        picture = textured().resize((round(600 * scale), round(450 * scale)), Image.Resampling.BICUBIC)
        assert code(picture) == ""


def test_each_defect_has_its_code_and_its_measure() -> None:
    good = textured()
    assert code(good.filter(ImageFilter.GaussianBlur(9))) == "blurred"
    assert code(good.point(lambda value: value // 8)) == "too_dark"
    assert code(good.point(lambda value: min(255, value * 3))) == "too_bright"
    assert code(good.point(lambda value: 140 + value // 30)) == "low_contrast"
    assert code(good.resize((100, 75), Image.Resampling.BOX)) == "too_small"
    result = check_quality(measure_quality(good.point(lambda value: value // 8)), DEFAULT_LIMITS)
    assert result.measured is not None
    assert result.limit is not None
    assert result.measured < result.limit


def test_a_picture_of_one_colour_or_a_few_pixels_is_refused_without_an_error() -> None:
    assert code(Image.new("RGB", (400, 300), (150, 110, 90))) == "low_contrast"
    assert code(Image.new("RGB", (64, 64))) == "too_small"
    assert measure_quality(Image.new("RGB", (400, 2), (150, 110, 90))).sharpness == 0.0


def test_dark_skin_in_good_light_is_not_called_dark() -> None:
    # Fitzpatrick VI in good light: about a third of the light that fair skin gives back.
    assert code(textured(level=70.0)) == ""


def test_limits_come_from_good_pictures_and_stay_fair() -> None:
    measures = [measure_quality(textured(seed=seed)) for seed in range(20)]
    limits = limits_from(measures)
    # The border is a quantile: with so few pictures the least of them lies just outside.
    assert sum(not check_quality(each, limits).passed for each in measures) <= 2
    assert limits.bright_min < 0.5 * min(each.bright for each in measures)
    assert limits.long_side_min == 120
    with pytest.raises(ValueError, match="pictures"):
        limits_from([])


def test_the_least_size_does_not_follow_the_scale_at_which_pictures_are_learned() -> None:
    measures = [
        measure_quality(textured(seed=seed), reference=to_reference(textured(seed=seed), long_side=400))
        for seed in range(20)
    ]
    limits = limits_from(measures)
    assert limits.long_side_min == 120
    small = textured().resize((224, 168), Image.Resampling.BICUBIC)
    measured = measure_quality(small, reference=to_reference(small, long_side=400))
    assert check_quality(measured, limits).code != "too_small"


@pytest.mark.parametrize(
    ("place", "every"), [("phone-photos/photos.zip", 1), ("milk10k/MILK10k_Training_Input.zip", 9)]
)
def test_hardly_a_real_photo_of_a_lesion_is_refused_for_its_size(place: str, every: int) -> None:
    if not (DATA / place).is_file():
        pytest.skip(f"needs the pictures of ../shared/data/{place}")
    with zipfile.ZipFile(DATA / place) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".webp"))[::every]
        sizes = [Image.open(archive.open(name)).size for name in names]
    assert len(sizes) > 400
    assert np.mean([max(size) < LONG_SIDE_MIN for size in sizes]) <= 0.02


@pytest.fixture(scope="module")
def real() -> Iterator[list[Image.Image]]:
    if not PICTURES.is_file():
        pytest.skip("needs the pictures of ../shared/data/isic2019-subset-400px")
    with zipfile.ZipFile(PICTURES) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".webp")))[::45]
        yield [Image.open(archive.open(name)).convert("RGB") for name in names]


def test_real_lesions_pass_the_sealed_limits_and_their_spoilt_copies_do_not(real: list[Image.Image]) -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    limits = bundle.assessor().image_types[DERMOSCOPIC].limits.quality

    def refused(pictures: list[Image.Image]) -> float:
        measured = [measure_and_prepare(each, bundle.manifest.preprocessing)[1].quality for each in pictures]
        return float(np.mean([not check_quality(each, limits).passed for each in measured]))

    assert len(real) > 150
    assert refused(real) <= 0.02
    some = real[::3]
    assert refused([each.filter(ImageFilter.GaussianBlur(4)) for each in some]) > 0.95
    assert refused([each.point(lambda value: value // 8) for each in some]) > 0.95
    assert refused([each.point(lambda value: min(255, value * 3)) for each in some]) > 0.6
    assert refused([each.point(lambda value: 120 + value // 12) for each in some]) > 0.95
    # Half the light is what dark skin gives back; the gate must not mistake it for a bad photo.
    assert refused([each.point(lambda value: value // 2) for each in some]) < 0.05
    assert refused([each.point(lambda value: value // 3) for each in some]) < 0.05
