"""The default bundle of a fresh clone: complete, and better than chance on real photos."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.inference.bundle import Bundle, read_bundle
from recognition.inference.runtime import load_classifier
from recognition.recipes import DEFAULT_STAGES, Recipe
from recognition.taxonomy import CODES, DERMOSCOPIC

ROOT = Path(__file__).resolve().parents[3]
PHOTOS = ROOT.parent / "shared" / "data" / "photos-450px"


@pytest.fixture(scope="module")
def default() -> Bundle:
    return read_bundle(ROOT / "bundles" / "default")


def test_it_is_whole_and_small_enough_for_the_repository(default: Bundle) -> None:
    assert default.manifest.architecture.backbone == "efficientnetb4"
    assert sum(each.size for each in default.manifest.files.values()) < 40_000_000


def test_it_was_made_from_imagenet_by_the_stages_of_this_tree(default: Bundle) -> None:
    manifest = default.manifest
    stages = [recipe.identity() for recipe in DEFAULT_STAGES]
    last = stages.index(Recipe.from_json(manifest.recipe).identity())
    # One parent for each stage before, on the same data and split; nothing from elsewhere.
    relations = Counter(each["relation"] for each in manifest.ancestry)
    assert relations.pop("parent") == last
    assert set(relations) <= {"resealed_from"}
    assert {each["split_fingerprint"] for each in manifest.ancestry} <= {manifest.split["fingerprint"]}


def test_it_is_better_than_chance_by_its_own_figures(default: Bundle) -> None:
    figures = default.manifest.image_types[DERMOSCOPIC]["metrics"]
    assert figures["balanced_accuracy"]["low"] > 1 / 8
    assert figures["malignant_auc"]["low"] > 0.5
    assert np.sum(figures["confusion"]) == figures["pictures"] > 1000


def test_it_answers_real_photos_better_than_chance(default: Bundle) -> None:
    if not PHOTOS.is_dir():
        pytest.skip("needs the pictures of ../shared/data/photos-450px")
    with (PHOTOS / "metadata.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["colour_recombined"] == "0"]
    chosen = [row for code in CODES for row in [each for each in rows if each["diagnosis"] == code][:4]]
    assert len({row["diagnosis"] for row in chosen}) >= 6
    pictures = [Image.open(PHOTOS / f"{row['image']}.jpg").convert("RGB") for row in chosen]
    outcomes = load_classifier(default, "onnx").classify(pictures)
    right = [outcome.diagnosis == row["diagnosis"] for outcome, row in zip(outcomes, chosen, strict=True)]
    # Most of these lesions were trained on: this asks whether scale, order and colour are right, not how good it is.
    assert np.mean(right) > 0.35
    assert len({outcome.diagnosis for outcome in outcomes}) >= 4
