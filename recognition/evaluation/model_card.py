"""The model card of a bundle as Markdown. All its figures come from the manifest, those of each kind of picture apart.

The text is in the templates beside this file, `model_card.md.jinja` and `model_card_kind.md.jinja`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recognition.datasets.sources import sources_in
from recognition.datasets.splits import SPLITS
from recognition.evaluation.subgroups import NOT_GIVEN
from recognition.inference.bundle import NORMALISED_FROM, Bundle, Manifest
from recognition.inference.case_mix import CaseMix
from recognition.inference.preprocessing import CROP, PAD, STRETCH
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC, IMAGE_TYPES, Diagnosis

TEMPLATE: Final = "model_card.md.jinja"
LINE_LENGTH: Final = 118
RAREST: Final = 4
"""Diagnoses of each kind of picture that are named for their few pictures."""

KIND_WORDS: Final = {DERMOSCOPIC: "through a dermatoscope", CLOSE_UP: "with a phone or a camera"}
FIT_WORDS: Final = {
    STRETCH: "stretched to the input",
    CROP: "cropped to its middle square and brought to the input",
    PAD: "filled to a square by its reflection and brought to the input",
}
ADVICE: Final = {"soon": "soon or urgent", "urgent": "urgent"}
CALIBRATION_ERRORS: Final = {
    "malignant_calibration_error": "calibration error of the malignant score",
    "classwise_calibration_error": "calibration error, mean of the eight",
    "expected_calibration_error": "expected calibration error",
}
"""The last is that of older bundles: the error of the confidence."""

MAIN: Final = {
    "malignant_auc": "AUC, cancer",
    "sensitivity": "cancers found",
    "melanoma_sensitivity": "melanomas found",
    "specificity": "specificity",
    "not_assessed": "refused",
    "malignant_calibration_error": "calibration error",
}
"""The figures of `measure.main_figures`, as the columns of a table."""

BY_COLLECTION: Final = {"balanced_accuracy": "balanced accuracy", **MAIN}
WITHOUT_LIMITS: Final = {name: BY_COLLECTION[name] for name in ("balanced_accuracy", "malignant_auc")}
"""The columns of `collections_table`; the second are those that no threshold, gate or calibration changes much."""

WAYS: Final = {"picture_alone": "picture alone", "with_metadata": "with what is known beside it"}
NO_COLLECTION: Final = "no known collection"

GROUP_WORDS: Final = {"skin_tone": "skin tone", "age": "age", "sex": "sex", "site": "site", "source": "source"}


def model_card(bundle: Bundle) -> str:
    """The model card of a verified bundle that was sealed by `fit.seal`.

    Raises KeyError or jinja2.UndefinedError for a manifest that lacks something.
    """
    manifest = bundle.manifest
    # A manifest is sorted by name; the card has the order of the vocabulary.
    blocks = {name: manifest.image_types[name] for name in IMAGE_TYPES if name in manifest.image_types}
    template = environment().get_template(TEMPLATE)
    return template.render(
        bundle=bundle,
        manifest=manifest,
        kinds={image_type: _Parts.of(block) for image_type, block in blocks.items()},
        case_mix=CaseMix.from_json(manifest.case_mix).as_json(),
        sources=sources_in({"dataset": manifest.dataset}),
        trained_on=trained_on(manifest),
        rarest=[f"{KIND_WORDS[name]} {_rarest(block['metrics'])}" for name, block in blocks.items()],
        diagnoses=list(Diagnosis),
        advice=ADVICE,
        calibration_errors=CALIBRATION_ERRORS,
        main_table=main_table,
        collections=collections_table(collections_of(bundle), manifest.lesion.get("metrics", {})),
        in_situ=[
            (f"{collection} {KIND_WORDS[name]}", figures["melanoma_in_situ"])
            for name, collections in collections_of(bundle).items()
            for collection, figures in collections.items()
            if "melanoma_in_situ" in figures
        ],
        splits=SPLITS,
        normalised_from=NORMALISED_FROM,
    )


def environment() -> Environment:
    """Templates of Markdown for a file, in this folder: nothing is escaped, and what is not given is an error."""
    made = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    made.filters.update(
        paragraph=_paragraph,
        balance=_balance,
        number=_number,
        interval=_interval,
        percent=_percent,
        share=_share,
        kind=KIND_WORDS.__getitem__,
        fit=FIT_WORDS.__getitem__,
        groups=_groups,
    )
    return made


def collections_of(bundle: Bundle) -> dict[str, Mapping[str, Any]]:
    """`by_collection.collection_figures` of each kind of picture, in the order of the vocabulary."""
    blocks = bundle.manifest.image_types
    return {name: blocks[name]["metrics"].get("collections", {}) for name in IMAGE_TYPES if name in blocks}


class _Parts(dict[str, Any]):
    """A block of a manifest: in a template a part that it does not have is nothing, not an error."""

    def __missing__(self, key: str) -> None:
        return None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "_Parts":
        """The block, and the blocks in it."""
        return cls({name: cls.of(each) if isinstance(each, Mapping) else each for name, each in values.items()})


def trained_on(manifest: Manifest) -> str:
    """The data set that the network learned, if the bundle was sealed again with another one; else ""."""
    for each in manifest.ancestry:
        if each["relation"] == "resealed_from" and each["split_fingerprint"] != manifest.split["fingerprint"]:
            return str(each["dataset"])
    return ""


def _rarest(figures: Mapping[str, Any]) -> str:
    counts = {code: figures["per_diagnosis"][code]["pictures"] for code in Diagnosis}
    return ", ".join(f"{code} {counts[code]}" for code in sorted(counts, key=counts.__getitem__)[:RAREST])


def _groups(entries: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The entries of `subgroups` by name, skin tone first."""
    order = list(GROUP_WORDS)
    ordered = sorted(entries, key=lambda each: order.index(each["kind"]))
    return {f"{GROUP_WORDS[each['kind']]} {each['name']}": each for each in ordered}


def collections_table(
    kinds: Mapping[str, Mapping[str, Any]], lesion: Mapping[str, Any], *, columns: Mapping[str, str] = BY_COLLECTION
) -> str:
    """The figures of `by_collection.collection_figures` of each kind of picture as a Markdown table; "" without any.

    The last row is the joint answer of `lesion`, the figures of `fit.calibration.lesion.measure_lesion`.
    """
    rows = {
        f"{NO_COLLECTION if collection == NOT_GIVEN else collection} {KIND_WORDS[kind]}, {words}": figures[way]
        for kind, collections in kinds.items()
        for collection, figures in collections.items()
        for way, words in WAYS.items()
        if way in figures
    }
    if rows and "joint" in lesion:
        rows["a picture of each kind of one lesion, joint answer without metadata"] = lesion["joint"]
    return main_table(rows, "pictures of", columns, pictures=True) if rows else ""


def main_table(
    rows: Mapping[str, Mapping[str, Any]],
    first: str,
    columns: Mapping[str, str] = MAIN,
    *,
    pictures: bool = False,
) -> str:
    """A table of `main_figures` by name; `first` is the heading of the names."""
    counts = {"pictures": "pictures", "lesions": "lesions"} if pictures else {"lesions": "lesions"}
    heads = (first, *counts.values(), *columns.values())
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name, figures in rows.items():
        cells = [str(figures[key]) for key in counts] + [_interval(figures[key]) for key in columns]
        lines.append(f"| {KIND_WORDS.get(name, name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), LINE_LENGTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _balance(balance: Mapping[str, float]) -> str:
    words = []
    if balance["sampling_power"]:
        words.append(f"rare diagnoses drawn more often (power {balance['sampling_power']:g})")
    if balance["weight_power"]:
        words.append(f"rare diagnoses weighing more (power {balance['weight_power']:g})")
    if balance["logit_adjustment"]:
        words.append(f"logits adjusted by {balance['logit_adjustment']:g} times the log share (Menon et al. 2021)")
    if balance.get("source_sampling_power"):
        words.append(
            "both within each public data set and kind of picture, the small ones of these drawn more often "
            f"(power {balance['source_sampling_power']:g})"
        )
    return " and ".join(words) or "diagnoses as frequent as they come"


def _number(figure: Mapping[str, float | None] | float | None) -> str:
    """The figure without its interval, if it has one."""
    value = figure["value"] if isinstance(figure, Mapping) else figure
    return "too few to say" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, float | None] | float | None) -> str:
    """The figure with its interval; older manifests have some figures without one."""
    if not isinstance(figure, Mapping):
        return _number(figure)
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return _number(value)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _share(step: Mapping[str, float | None]) -> str:
    """The share of cancers of a step of the score, with its interval."""
    return _interval({"value": step["share"], "low": step["low"], "high": step["high"]})


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")
