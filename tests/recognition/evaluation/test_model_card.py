"""The model card in docs/ is that of the bundle in bundles/, to the letter."""

import dataclasses
from pathlib import Path

from recognition.evaluation.model_card import model_card
from recognition.inference.bundle import read_bundle
from recognition.taxonomy import DERMOSCOPIC, Diagnosis

ROOT = Path(__file__).resolve().parents[3]


def test_the_card_in_docs_is_the_default_bundles_own() -> None:
    written = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert written == model_card(read_bundle(ROOT / "bundles" / "default")), "run manage.py write_model_card"


def test_the_card_tells_every_diagnosis_and_the_figures_of_the_manifest() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    card, figures = model_card(bundle), bundle.manifest.image_types[DERMOSCOPIC]["metrics"]
    for code in Diagnosis:
        assert f"| {code.full_name} ({code}) | {figures['per_diagnosis'][code.value]['pictures']} |" in card
    assert f"{figures['balanced_accuracy']['value']:.3f}" in card
    assert bundle.sha256 in card


def test_a_figure_without_a_meaning_is_said_to_be_none() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    block = bundle.manifest.image_types[DERMOSCOPIC]
    figures = dict(block["metrics"], malignant_auc={"value": None, "low": None, "high": None})
    image_types = {DERMOSCOPIC: {**block, "metrics": figures}}
    changed = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, image_types=image_types))
    assert "against the rest | too few to say |" in model_card(changed)


def test_the_card_says_where_the_weights_came_from() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")

    def card(backbone: str, provenance: dict[str, object]) -> str:
        architecture = dataclasses.replace(bundle.manifest.architecture, backbone=backbone)
        manifest = dataclasses.replace(bundle.manifest, architecture=architecture, provenance=provenance)
        return " ".join(model_card(dataclasses.replace(bundle, manifest=manifest)).split())

    none: dict[str, object] = {"parent": None}
    assert " with ImageNet weights," in card("efficientnetb4", none)
    assert " with random weights," in card("tiny", none)
    assert " with the weights of `older`," in card("tiny", {"parent": {"version": "older", "sha256": "0" * 64}})


def test_the_card_says_what_was_learned_and_what_was_kept() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")

    def card(provenance: dict[str, object], **tuning: object) -> str:
        plain = {"mixup_alpha": 0.0, "learn_validation": False, "pictures_per_epoch": 0}
        recipe = {**bundle.manifest.recipe, "fine_tune": {**bundle.manifest.recipe["fine_tune"], **plain, **tuning}}
        manifest = dataclasses.replace(bundle.manifest, recipe=recipe, provenance=provenance)
        return " ".join(model_card(dataclasses.replace(bundle, manifest=manifest)).split())

    pictures = bundle.manifest.split["pictures"]
    older = card({})
    assert "the epoch with the best balanced accuracy on the validation split was kept" in older
    assert "mixup" not in older
    assert f" of {pictures['train']:,} varied pictures, its first" in older
    newer = card({"engine": "pytorch"}, mixup_alpha=0.8, learn_validation=True)
    both = pictures["train"] + pictures["validation"]
    assert f" of {both:,} varied pictures, mixed by two (mixup 0.8) by the engine pytorch, its first" in newer
    assert "the last epoch was kept" in newer
    assert "distillation" not in newer
    assert "stages and all BatchNorm statistics held" in newer
    assert "stages held and BatchNorm learned with the rest" in card({}, batch_norm="trained")
    taught = card({"teachers": [{"version": "older"}, {"version": "other"}]}, teacher_share=0.7)
    assert "70% of what it was to answer was what `older` and `other` answered" in taught
