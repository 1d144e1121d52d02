"""A classifier is described from its manifest, whatever its version."""

from typing import Any

import pytest

from diagnoses.classifiers.description import ValidationFigures, describe
from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC

EPOCHS = [
    {"balanced_accuracy": 0.6, "validation_loss": 0.5},
    {"balanced_accuracy": 0.7, "validation_loss": 0.9},
]


def test_of_version_4() -> None:
    found = describe(
        {
            "version": "new",
            "architecture": {"backbone": "efficientnetb4", "input_size": 256},
            "image_types": {DERMOSCOPIC: {}, CLOSE_UP: {}},
            "case_mix": HAM10000.as_json(),
        }
    )
    assert (found.version, found.network, found.input_size) == ("new", "EfficientNetB4", 256)
    assert found.image_types == (DERMOSCOPIC, CLOSE_UP)
    assert found.case_mix == HAM10000


def test_a_toy_network_is_not_called_something_better() -> None:
    found = describe({"version": "toy", "architecture": {"backbone": "tiny", "input_size": 32}, "temperature": 1.2})
    assert (found.network, found.image_types, found.case_mix) == ("Tiny", (DERMOSCOPIC,), BALANCED)
    assert describe({"architecture": {"backbone": "of another version"}}).network == "of another version"


def test_of_an_empty_manifest() -> None:
    found = describe({})
    assert (found.version, found.network, found.input_size, found.validation) == ("", "", None, None)


@pytest.mark.parametrize(
    ("history", "recipe", "expected"),
    [
        ({"fine_tune": EPOCHS, "head": []}, {}, ValidationFigures(2, 0.7, 0.9)),
        ({"fine_tune": [], "head": EPOCHS}, {"frozen": {"best_by": "loss"}}, ValidationFigures(1, 0.6, 0.5)),
        ({"head": EPOCHS}, {"frozen": {"best_by": "balanced_accuracy"}}, ValidationFigures(2, 0.7, 0.9)),
        ({}, {}, None),
        ({"fine_tune": EPOCHS}, {"fine_tune": {"learn_validation": True}}, None),
    ],
)
def test_validation_figures_are_those_of_the_kept_epoch(
    history: dict[str, Any], recipe: dict[str, Any], expected: ValidationFigures | None
) -> None:
    found = describe({"provenance": {"history": history}, "recipe": recipe})
    assert found.validation == expected
    assert found.learned_validation == bool(recipe.get("fine_tune"))
