"""What a classifier is, in the words of its manifest: network, kinds of picture, case mix, sources, validation figures.

Pages, commands and the public page about the service take it from here, so that none of them calls a network something
else than it is. Manifests of any version are read, also incomplete ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from recognition.datasets.ancestry import learns_validation
from recognition.datasets.sources import Source, sources_in
from recognition.inference.bundle import image_type_blocks
from recognition.inference.case_mix import BALANCED, CaseMix

TOY: Final = "tiny"
"""The backbone of the tests, with a few thousand weights: its answers are never to be taken for real ones."""

NETWORK_NAMES: Final[Mapping[str, str]] = {"efficientnetb4": "EfficientNetB4", TOY: "Tiny"}
"""Backbones (`recognition.inference.network.BACKBONES`) as people know them."""


@dataclass(frozen=True, slots=True)
class ValidationFigures:
    """What the kept epoch reached on the validation split. `epoch` counts from 1; `loss` is the mean log loss."""

    epoch: int
    balanced_accuracy: float
    loss: float | None


@dataclass(frozen=True, slots=True)
class Description:
    """A classifier from its manifest.

    `network` is the name of the backbone ("" if unknown), `is_toy` whether it is that of the tests, `input_size` the
    side of its input in pixels (None if unknown), `image_types` the kinds of picture that it knows
    (`taxonomy.IMAGE_TYPES`), `case_mix` the mix that its probabilities are for, `sources` the data sets that it and its
    ancestors learned from. `validation` is None if the history is not kept, or if the validation pictures were learned
    (`learned_validation`): then its figures on them mean nothing.
    """

    version: str
    network: str
    is_toy: bool
    input_size: int | None
    image_types: tuple[str, ...]
    case_mix: CaseMix
    sources: tuple[Source, ...]
    validation: ValidationFigures | None
    learned_validation: bool


def describe(manifest: Mapping[str, Any]) -> Description:
    """The description of the classifier with this manifest (`Classifier.manifest`)."""
    architecture = manifest.get("architecture") or {}
    backbone = str(architecture.get("backbone", ""))
    recipe = manifest.get("recipe") or {}
    learned = learns_validation(recipe)
    return Description(
        version=str(manifest.get("version", "")),
        network=NETWORK_NAMES.get(backbone, backbone),
        is_toy=backbone == TOY,
        input_size=architecture.get("input_size"),
        image_types=tuple(image_type_blocks(manifest)),
        case_mix=case_mix_of(manifest),
        sources=tuple(sources_in(manifest)),
        validation=None if learned else _validation(manifest),
        learned_validation=learned,
    )


def case_mix_of(manifest: Mapping[str, Any]) -> CaseMix:
    """The case mix that a classifier's probabilities are for: in manifests of before version 4 all are as frequent."""
    sealed = manifest.get("case_mix")
    return CaseMix.from_json(sealed) if sealed else BALANCED


def _validation(manifest: Mapping[str, Any]) -> ValidationFigures | None:
    history = (manifest.get("provenance") or {}).get("history") or {}
    recipe = manifest.get("recipe") or {}
    # The head is trained first; what a fine-tuning kept replaces what the head's epochs reached.
    for phase, best_by in (("fine_tune", ""), ("head", (recipe.get("frozen") or {}).get("best_by", ""))):
        epochs = [each for each in history.get(phase) or [] if each.get("balanced_accuracy") is not None]
        if epochs:
            by_loss = best_by == "loss"
            kept = max(
                range(len(epochs)),
                key=lambda at: -epochs[at]["validation_loss"] if by_loss else epochs[at]["balanced_accuracy"],
            )
            chosen = epochs[kept]
            return ValidationFigures(kept + 1, float(chosen["balanced_accuracy"]), chosen.get("validation_loss"))
    return None
