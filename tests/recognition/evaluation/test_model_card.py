"""The model card in docs/ is that of the bundle in bundles/, to the letter; what it says of a bundle of any version."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.datasets.sources import MILK10K, PAD_UFES
from recognition.evaluation.measure import main_figures, split_metrics
from recognition.evaluation.model_card import KIND_WORDS, model_card
from recognition.inference.bundle import Bundle, read_bundle
from recognition.inference.calibration import softmax
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC, Diagnosis

ROOT = Path(__file__).resolve().parents[3]


def test_the_card_in_docs_is_the_default_bundles_own() -> None:
    written = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert written == model_card(read_bundle(ROOT / "bundles" / "default")), "run manage.py write_model_card"


def test_the_card_tells_every_diagnosis_and_the_figures_of_the_manifest() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    card = model_card(bundle)
    for image_type, block in bundle.manifest.image_types.items():
        figures = block["metrics"]
        part = card.split(f"## Pictures taken {KIND_WORDS[image_type]}\n")[1].split("\n## ")[0]
        for code in Diagnosis:
            assert f"| {code.full_name} ({code}) | {figures['per_diagnosis'][code.value]['pictures']} |" in part
        assert f"{figures['balanced_accuracy']['value']:.3f}" in part
    assert bundle.sha256 in card


def changed(bundle: Bundle, **fields: Any) -> str:
    """The card with other fields of the manifest, in one line."""
    manifest = dataclasses.replace(bundle.manifest, **fields)
    return " ".join(model_card(dataclasses.replace(bundle, manifest=manifest)).split())


def test_a_figure_without_a_meaning_is_said_to_be_none() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    kinds = dict(bundle.manifest.image_types)
    block = kinds[DERMOSCOPIC]
    nothing = {"value": None, "low": None, "high": None}
    kinds[DERMOSCOPIC] = {**block, "metrics": {**block["metrics"], "malignant_auc": nothing}}
    assert "against the rest | too few to say |" in changed(bundle, image_types=kinds)


def made_figures(**groups: Any) -> dict[str, Any]:
    """Figures of 160 pictures of 80 lesions as a bundle seals them."""
    labels = np.arange(160) % 8
    logits = np.random.default_rng(5).normal(size=(160, 8))
    logits[np.arange(160), labels] += 2.0
    table = softmax(logits)
    decisions = ["soon" if row[[0, 2, 7]].sum() > 0.4 else "monitor" for row in table]
    decisions[0] = "not_assessed"
    lesions = [f"L{number % 80}" for number in range(160)]
    weights = HAM10000.weights(labels)
    main = main_figures(labels, table, groups=lesions, decisions=decisions, weights=weights, rounds=50)
    return {
        **split_metrics(
            labels, table, groups=lesions, uncalibrated=table, weights=weights, decisions=decisions, rounds=50
        ),
        "metadata": {"answers": {"with": main, "without": main}},
        "subgroups": [{"kind": kind, "name": name, **main} for kind, name in groups.items()],
    }


def split_of(dataset: str, fingerprint: str) -> dict[str, str]:
    return {"dataset": dataset, "split_fingerprint": fingerprint}


def test_kinds_of_picture_stand_apart_with_all_that_was_sealed() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    figures = made_figures(skin_tone="4", sex="female")
    strengths = {"demographics": 0.8, "answers": 0.0}

    def block(answers: float) -> dict[str, Any]:
        return {
            "calibration": {
                "temperature": 1.25,
                "prior_strength": 0.75,
                "strengths": {**strengths, "answers": answers},
            },
            "operating_points": [],
            "assessment": {},
            "metrics": figures,
        }

    share = {"value": 0.9876, "low": 0.98, "high": 0.99}
    card = changed(
        bundle,
        recipe={
            **bundle.manifest.recipe,
            "fine_tune": {**bundle.manifest.recipe["fine_tune"], "epochs": 9, "pictures_per_epoch": 0},
        },
        image_types={CLOSE_UP: block(0.9), DERMOSCOPIC: block(0.0)},
        case_mix=HAM10000.as_json(),
        metadata_table={"itch": {"True": [0.0] * 8}},
        image_type_head={"metrics": {"pictures": 20, "accuracy": share, "recognised": {CLOSE_UP: share}}},
        lesion={"decision": {}, "metrics": {"joint": figures["metadata"]["answers"]["with"]}},
        absent=("VASC",),
        ancestry=(
            {"version": "older", "sha256": "a" * 64, "relation": "resealed_from", **split_of("small", "f" * 64)},
            {"version": "unknown", "sha256": "b" * 64, "relation": "teacher", **split_of("", "")},
        ),
        dataset={**bundle.manifest.dataset, "sources": [MILK10K.name, PAD_UFES.name]},
    )
    assert "It knows pictures taken through a dermatoscope and with a phone or a camera. Pictures of any other" in card
    dermoscopic, close_up = card.split("## Pictures taken ")[1:]
    for part in (dermoscopic, close_up):
        assert "temperature 1.250 and prior strength 0.750" in part
        assert "(80 lesions)" in part
        assert "calibration error of the malignant score before calibration, after" in part
        assert "calibration error, mean of the eight" in part
        by_chance = figures["malignant_calibration_error"]["by_chance"]
        assert f"calibration error of about {by_chance:.3f}" in " ".join(part.split())
        assert "| skin tone 4 | 80 |" in part
        assert "| picture alone | 80 |" in part
    assert "Answers do not count for this kind (strength 0)" in dermoscopic
    assert "Answers do not count" not in close_up and "the answers of patients 0.900" in close_up
    assert 'case mix "HAM10000": MEL 11.1 %,' in card
    assert "it is right in 0.988 (0.980 to 0.990): of those taken with a phone or a camera in 0.988" in card
    assert "| joint | 80 |" in card
    assert "It never answers VASC" in card
    assert "| `older` | `aaaaaaaaaaaaaaaa…` | resealed from | small | `ffffffffffffffff…` |" in card
    assert "| `unknown` | `bbbbbbbbbbbbbbbb…` | teacher | not known | not known |" in card
    # What was learned is that of the ancestor, not what it was sealed on again.
    assert "9 epochs of varied pictures of `small`" in card
    assert "| MILK10k | CC BY-NC 4.0 | MILK study team: MILK10k, ISIC Archive, 2025, doi:10.34970/648456. |" in card
    assert "may be sold or used to earn money" in card
    assert "may be sold" not in changed(bundle, dataset={**bundle.manifest.dataset, "sources": [PAD_UFES.name]})


def test_each_collection_has_its_row_where_it_was_measured() -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    kinds = {kind: {**block, "metrics": dict(block["metrics"])} for kind, block in bundle.manifest.image_types.items()}
    labels = np.arange(160) % 8
    table = np.random.default_rng(5).dirichlet(np.ones(8), 160)
    main = main_figures(labels, table, balanced=table, groups=None, decisions=["soon"] * 160, rounds=20)
    share = {"value": 0.75, "low": 0.5, "high": 1.0}
    early = {"pictures": 12, "lesions": 11, "melanoma_sensitivity": share}
    kinds[DERMOSCOPIC]["metrics"]["collections"] = {
        "HAM10000": {"picture_alone": main},
        "MILK10k": {"picture_alone": main, "with_metadata": main, "melanoma_in_situ": early},
    }
    kinds[CLOSE_UP]["metrics"]["collections"] = {}
    part = changed(bundle, image_types=kinds, lesion={"decision": {}, "metrics": {"joint": main}}).split("## By coll")[
        1
    ]
    assert part.count("| 160 | 160 |") == 4
    auc = main["malignant_auc"]["value"]
    assert "| MILK10k through a dermatoscope, with what is known beside it | 160 | 160 |" in part
    assert f"{main['balanced_accuracy']['value']:.3f} (" in part and f"{auc:.3f} (" in part
    assert "Melanomas in situ of MILK10k through a dermatoscope: 12 pictures of 11 lesions" in part
    for block in kinds.values():
        del block["metrics"]["collections"]
    assert "## By collection" not in changed(bundle, image_types=kinds)


@pytest.mark.parametrize(("fit", "words"), [("stretch", "stretched"), ("crop", "cropped"), ("pad", "filled")])
def test_the_card_says_how_a_picture_becomes_square(fit: str, words: str) -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    card = changed(bundle, preprocessing=dataclasses.replace(bundle.manifest.preprocessing, fit=fit))
    assert f"px by area averaging, then {words} to" in card


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
        # As if it had been sealed on the data that it was trained on.
        manifest = dataclasses.replace(bundle.manifest, recipe=recipe, provenance=provenance, ancestry=())
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
