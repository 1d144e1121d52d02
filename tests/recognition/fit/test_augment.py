"""RandAugment and mixup: effect, range, and the same result for the same seed."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognition.fit.augment import augmented
from recognition.fit.balance import one_hot
from recognition.fit.batches import batches, mixed
from recognition.fit.randaugment import OPERATIONS, rand_augmented
from recognition.recipes import SMOKE, Augmentation, changed
from recognition.taxonomy import CODES
from tests.factories import made_picture

PICTURE = made_picture("MEL", 3, size=(64, 64))
PIXELS = np.asarray(PICTURE, dtype=np.float32)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_changes_a_picture_more_with_its_strength_and_not_at_all_without(name: str) -> None:
    def change(strength: float) -> float:
        after = OPERATIONS[name](PICTURE, strength)
        assert after.size == PICTURE.size
        assert after.mode == "RGB"
        return float(np.abs(np.asarray(after, dtype=np.float32) - PIXELS).mean())

    assert change(0.0) == 0.0
    assert 0.0 < change(0.3) < change(1.0)


@pytest.mark.parametrize("name", ["turn", "shear sideways", "shear upwards", "shift sideways", "shift upwards"])
def test_what_moves_a_picture_goes_both_ways_and_leaves_no_black_corner(name: str) -> None:
    light = Image.new("RGB", (50, 50), (220, 180, 160))
    assert np.asarray(OPERATIONS[name](light, 1.0)).min() >= 159
    there, back = (np.asarray(OPERATIONS[name](PICTURE, strength)) for strength in (1.0, -1.0))
    assert not np.array_equal(there, back)


def test_a_shift_moves_by_its_share_of_the_side_and_a_turn_leaves_the_centre() -> None:
    dot = Image.new("RGB", (60, 60))
    dot.putpixel((30, 30), (255, 255, 255))
    assert np.argwhere(np.asarray(OPERATIONS["shift sideways"](dot, 1.0))[..., 0] > 200).tolist() == [[30, 30 - 12]]
    disc = made_picture("NV", 1, size=(61, 61))
    turned = np.asarray(OPERATIONS["turn"](disc, 1.0))
    assert np.allclose(turned[30, 30], np.asarray(disc)[30, 30], atol=12)


def test_tones_change_without_the_hue() -> None:
    grey = Image.fromarray(np.tile(np.linspace(90, 160, 64, dtype=np.uint8)[None, :, None], (64, 1, 3)))
    for name in ("stretch tones", "equalise tones"):
        after = np.asarray(OPERATIONS[name](grey, 1.0)).astype(int)
        assert np.ptp(after) > 90
        assert np.abs(after - after[..., :1]).max() <= 2


def test_randaugment_keeps_shape_and_range_and_follows_its_seed() -> None:
    def seen(seed: int, magnitude: float = 8.0, operations: int = 2) -> np.ndarray[Any, Any]:
        generator = np.random.default_rng(seed)
        return rand_augmented(PIXELS, operations=operations, magnitude=magnitude, generator=generator)

    for seed in range(40):
        after = seen(seed)
        assert after.shape == PIXELS.shape
        assert after.dtype == np.float32
        assert 0.0 <= after.min() <= after.max() <= 255.0
    assert np.array_equal(seen(1), seen(1))
    assert len({seen(seed).tobytes() for seed in range(20)}) > 15
    assert np.array_equal(seen(1, magnitude=0.0), PIXELS)
    assert np.array_equal(seen(1, operations=0), PIXELS)


def test_randaugment_is_off_unless_it_is_asked_for() -> None:
    def seen(augmentation: Augmentation) -> np.ndarray[Any, Any]:
        return augmented(PICTURE, input_size=32, augmentation=augmentation, generator=np.random.default_rng(3))

    plain = Augmentation()
    assert np.array_equal(seen(plain), seen(dataclasses.replace(plain, randaugment_magnitude=9.0)))
    assert not np.array_equal(seen(plain), seen(dataclasses.replace(plain, randaugment_operations=2)))


def test_mixup_keeps_the_mass_of_the_labels_and_mixes_every_part_alike() -> None:
    labels = one_hot(np.arange(16) % 8)
    pixels = np.arange(16, dtype=np.float32)[:, None, None, None] * np.ones((1, 4, 4, 3), np.float32)
    weights = np.arange(16, dtype=np.float32)
    got, truth, weight = mixed([pixels, labels, weights], alpha=0.4, generator=np.random.default_rng(0))
    assert truth.sum(axis=1) == pytest.approx(1.0)
    assert truth.min() >= 0.0
    assert truth.sum(axis=0).sum() == pytest.approx(16.0)
    assert ((truth > 0.01).sum(axis=1) == 2).any()
    assert got[:, 0, 0, 0] == pytest.approx(weight)  # the same share and partner for pixels and weights
    assert got.dtype == truth.dtype == weight.dtype == np.float32
    assert (got >= pixels.min()).all()
    assert (got <= pixels.max()).all()
    again = mixed([pixels, labels, weights], alpha=0.4, generator=np.random.default_rng(0))
    assert np.array_equal(again[0], got)


def test_batches_are_those_of_before_without_mixup_and_mixed_with_it() -> None:
    references = [made_picture(code, 1, size=(40, 30)) for code in CODES] * 2
    labels = np.arange(16) % 8

    def batch(**changes: str) -> Any:
        recipe = changed(SMOKE, {f"fine_tune.{name}": value for name, value in changes.items()})
        assert recipe.fine_tune is not None
        found = batches(
            references, one_hot(labels), weights=np.ones(16, np.float32), order=np.arange(16), recipe=recipe,
            phase=recipe.fine_tune, epoch=0,
        )  # fmt: skip
        assert len(found) == 1
        return found[0]

    pixels, truth, _ = batch()
    assert np.array_equal(truth, one_hot(labels))
    blended, soft, _ = batch(mixup_alpha="1")
    assert blended.shape == pixels.shape
    assert soft.sum(axis=1) == pytest.approx(1.0)
    assert not np.array_equal(soft, truth)
    assert np.array_equal(blended, batch(mixup_alpha="1")[0])
