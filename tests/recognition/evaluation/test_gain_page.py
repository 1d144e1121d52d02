"""The page about what the gain came from: the same test pictures, each bundle's own figures, oldest first."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.evaluation.gain_page import gain_page
from recognition.evaluation.measure import main_figures
from recognition.inference.bundle import Bundle, read_bundle
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

ROOT = Path(__file__).resolve().parents[3]


def bundle_with(version: str, *, seed: int, **fields: Any) -> Bundle:
    """The default bundle, as if it had these figures by collection and this version."""
    bundle = read_bundle(ROOT / "bundles" / "default")
    labels, table = np.arange(160) % 8, np.random.default_rng(seed).dirichlet(np.ones(8), 160)
    main = main_figures(labels, table, balanced=table, groups=None, decisions=["soon"] * 160, rounds=20)
    kinds = {kind: {**block, "metrics": dict(block["metrics"])} for kind, block in bundle.manifest.image_types.items()}
    kinds[DERMOSCOPIC]["metrics"]["collections"] = {"HAM10000": {"picture_alone": main}}
    kinds[CLOSE_UP]["metrics"]["collections"] = {"MILK10k": {"picture_alone": main, "with_metadata": main}}
    manifest = dataclasses.replace(
        bundle.manifest, **({"version": version, "image_types": kinds, "lesion": {"metrics": {"joint": main}}} | fields)
    )
    return dataclasses.replace(bundle, manifest=manifest)


def auc_of(bundle: Bundle) -> str:
    figures = bundle.manifest.image_types[DERMOSCOPIC]["metrics"]["collections"]["HAM10000"]["picture_alone"]
    return f"{figures['malignant_auc']['value']:.3f} ("


def test_each_bundle_has_its_row_in_each_table_oldest_first() -> None:
    old, new = bundle_with("old-1", seed=3), bundle_with("new-2", seed=4)

    page = gain_page([old, new])

    assert "manage.py write_gain_page old-1 new-2" in page
    for heading in (
        "HAM10000 through a dermatoscope, picture alone",
        "MILK10k with a phone or a camera, picture alone",
        "MILK10k with a phone or a camera, with what is known beside it",
        "A picture of each kind of one lesion, without metadata",
    ):
        part = page.split(f"### {heading}\n")[1].split("\n#")[0]
        rows = [line for line in part.splitlines() if line.startswith(("| old-1 |", "| new-2 |"))]
        assert [row.split(" |")[0] for row in rows] == ["| old-1", "| new-2"]
    part = page.split("### HAM10000 ")[1].split("\n#")[0]
    assert auc_of(old) != auc_of(new)
    assert f"{auc_of(old)}" in part.split("| new-2")[0] and f"{auc_of(new)}" in part.split("| new-2")[1]


def test_other_test_pictures_are_not_compared() -> None:
    split = {**read_bundle(ROOT / "bundles" / "default").manifest.split, "fingerprint": "0" * 64}
    with pytest.raises(ValueError, match="old-1 and new-2 were measured on other test pictures"):
        gain_page([bundle_with("old-1", seed=3, split=split), bundle_with("new-2", seed=4)])


def test_a_bundle_without_figures_by_collection_is_to_be_sealed_again() -> None:
    new = bundle_with("new-2", seed=4)
    kinds = {
        kind: {**block, "metrics": {**block["metrics"], "collections": {}}}
        for kind, block in new.manifest.image_types.items()
    }
    with pytest.raises(ValueError, match="old-1 has no figures by collection; seal it again"):
        gain_page([bundle_with("old-1", seed=3, image_types=kinds), new])
