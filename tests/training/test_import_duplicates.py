"""Duplicates, leakage and splits that grow."""

import itertools

import numpy as np
import pandas as pd
import pytest

from recognition.datasets.duplicates import NearBlock, clusters, exact_copies, near_blocks, near_pairs
from recognition.datasets.leakage import random_split_leakage, shared_lesions
from recognition.datasets.splits import (
    TEST,
    SplitError,
    extend_split,
    gather_look_alikes,
    lesion_groups,
    split_examples,
    split_fingerprint,
)
from recognition.sandbox import content_hash, hash_distance
from recognition.sandbox.perceptual_hash_batch import content_hashes, miniature
from recognition.taxonomy import CODES
from tests.factories import made_picture


def test_the_hash_of_many_is_the_hash_of_each() -> None:
    pictures = [
        made_picture(code, seed, size=size)
        for code, seed in itertools.product(CODES, range(3))
        for size in ((200, 150), (640, 480))
    ]
    many = content_hashes(np.stack([miniature(picture) for picture in pictures]))
    assert many == [content_hash(picture) for picture in pictures]


def test_near_pairs_are_those_that_counting_bit_by_bit_finds() -> None:
    generator = np.random.default_rng(3)
    hashes = [bytes(row) for row in generator.integers(0, 256, (150, 32), dtype=np.uint8)]
    # Some differ from another in a few bits, in the first quarter as well as in the others.
    for position in range(20):
        changed = bytearray(hashes[position])
        for bit in generator.integers(0, 256, position):
            changed[bit // 8] ^= 1 << (bit % 8)
        hashes.append(bytes(changed))
    expected = {
        (first, second): hash_distance(hashes[first], hashes[second])
        for first, second in itertools.combinations(range(len(hashes)), 2)
        if hash_distance(hashes[first], hashes[second]) <= 12
    }
    found = {(pair.first, pair.second): pair.distance for pair in near_pairs(hashes, within=12)}
    assert found == expected and len(found) >= 12
    assert near_pairs(hashes[:1]) == []


def test_thousands_of_copies_of_one_picture_are_walked_in_blocks_and_joined() -> None:
    # Half a million pairs; no block holds more than one tile.
    hashes = [bytes(32)] * 1000 + [bytes([255] * 32)] * 2
    blocks = list(near_blocks(hashes))
    assert sum(block.first.size for block in blocks) == 1000 * 999 // 2 + 1
    assert max(block.first.size for block in blocks) <= 64 * 2048
    assert all((block.first < block.second).all() for block in blocks)
    assert clusters(blocks, 1002).tolist() == [0] * 1000 + [1000] * 2


def test_clusters_follow_chains_in_any_order() -> None:
    pairs = [(8, 9), (4, 5), (5, 8), (1, 9), (2, 3), (0, 7), (6, 7)]
    for order in (pairs, pairs[::-1]):
        single = [NearBlock(np.array([a]), np.array([b]), np.array([1])) for a, b in order]
        firsts, seconds = (np.array(each) for each in zip(*order, strict=True))
        whole = [NearBlock(firsts, seconds, np.ones(7, dtype=np.int64))]
        for blocks in (single, whole):
            assert clusters(blocks, 10).tolist() == [0, 1, 2, 2, 1, 1, 0, 0, 1, 1]


def test_look_alikes_are_gathered_where_learning_is_and_nothing_else_moves() -> None:
    before = table([f"I{number:03d}" for number in range(200)])
    # Two pictures of one lesion each for the first twenty.
    before = pd.concat([before, table([f"J{number:03d}" for number in range(20)])], ignore_index=True)
    before.loc[200:, "lesion_id"] = [f"I{number:03d}" for number in range(20)]
    split = split_examples(before)
    images, sides = before["image"].tolist(), split.assignment
    tested = next(image for image in images[:20] if sides[image] == "test")
    others = [next(image for image in images[20:200] if sides[image] == side) for side in ("train", "calibration")]
    alike = pd.Series(range(len(images)), index=images)
    alike[[tested, *others]] = 0 if "I000" in (tested, *others) else int(alike[tested])
    groups = pd.Series(lesion_groups(before).tolist(), index=images)
    gathered = gather_look_alikes(split, alike, groups)
    # The other picture of the test lesion moves too.
    assert gathered.moved == {tested: "test", tested.replace("I", "J"): "test", others[1]: "calibration"}
    assert {gathered.split.assignment[image] for image in gathered.moved} == {"train"}
    back = gathered.split.assignment.copy()
    for image, side in gathered.moved.items():
        back[image] = side
    assert split_fingerprint(back) == split.fingerprint != gathered.split.fingerprint
    assert set(gathered.split.images("test")) < set(split.images("test"))
    # Both series are matched by image name, not by position.
    assert gather_look_alikes(split, alike[::-1], groups).moved == gathered.moved
    untouched = gather_look_alikes(split, pd.Series(range(len(images)), index=images), groups)
    assert untouched.moved == {} and untouched.split.fingerprint == split.fingerprint


def test_exact_copies_are_named_together() -> None:
    assert exact_copies(["c", "a", "b", "d"], ["1", "1", "2", "1"]) == [["a", "c", "d"]]


def test_a_random_split_leaks_what_pairs_leak_and_a_split_by_lesion_nothing() -> None:
    images = pd.Series([f"I{number}" for number in range(2000)])
    pairs = pd.Series([f"L{number // 2}" for number in range(2000)])
    # The partner of a validation image is in training in four of five cases.
    assert random_split_leakage(pairs).mean == pytest.approx(0.8, abs=0.03)
    assert random_split_leakage(images).mean == 0.0
    by_lesion = {image: "train" if number // 2 % 4 else "test" for number, image in enumerate(images)}
    assert shared_lesions(pairs, by_lesion, images) == {"validation": 0, "calibration": 0, "test": 0}
    by_image = {image: "test" if number % 2 else "train" for number, image in enumerate(images)}
    assert shared_lesions(pairs, by_image, images)["test"] == 1000


def table(names: list[str], *, lesion: str = "") -> pd.DataFrame:
    return pd.DataFrame(
        [{"image": name, "diagnosis": "NV", "lesion_id": f"{lesion}{name}", "sha256": f"sha {name}"} for name in names]
    )


def test_a_split_that_grows_keeps_every_assignment_and_its_test_split() -> None:
    before = table([f"I{number:03d}" for number in range(200)])
    split = split_examples(before)
    grown = pd.concat([before, table([f"N{number:03d}" for number in range(100)])], ignore_index=True)
    existing = {str(image): str(side) for image, side in split.assignment.items()}
    after = extend_split(existing, grown, groups=lesion_groups(grown))
    assert {image: after.assignment[image] for image in existing} == existing
    assert after.test_fingerprint == split.test_fingerprint
    assert after.fingerprint != split.fingerprint
    new = after.assignment[after.assignment.index.str.startswith("N")]
    assert set(new) == {"train", "validation", "calibration"}
    assert (new == "train").sum() > 70


def test_a_new_picture_of_an_old_lesion_joins_it_but_never_the_test_split() -> None:
    before = table([f"I{number:03d}" for number in range(60)])
    split = split_examples(before)
    existing = {str(image): str(side) for image, side in split.assignment.items()}

    def with_one_more(side: str) -> pd.DataFrame:
        old = next(image for image, each in existing.items() if each == side)
        return pd.concat([before, pd.DataFrame([{**before.iloc[0], "image": "N1", "lesion_id": old, "sha256": "n"}])])

    grown = with_one_more("calibration").reset_index(drop=True)
    assert extend_split(existing, grown, groups=lesion_groups(grown)).assignment["N1"] == "calibration"
    grown = with_one_more(TEST).reset_index(drop=True)
    with pytest.raises(SplitError, match="sealed test split"):
        extend_split(existing, grown, groups=lesion_groups(grown))
