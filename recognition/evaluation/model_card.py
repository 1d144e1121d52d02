"""The model card of a bundle as Markdown. All its figures come from the manifest.

The text is the template beside this file, `model_card.md.jinja`.
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from recognition.datasets.splits import SPLITS
from recognition.inference.bundle import NORMALISED_FROM, Bundle
from recognition.taxonomy import DERMOSCOPIC, Diagnosis

TEMPLATE: Final = Path(__file__).with_name("model_card.md.jinja")
LINE_LENGTH: Final = 118


def model_card(bundle: Bundle) -> str:
    """The model card of a verified bundle that was sealed by `fit.seal`.

    Raises KeyError or jinja2.UndefinedError for a manifest that lacks something.
    """
    # Markdown for a file: nothing is escaped.
    environment = Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters.update(paragraph=_paragraph, balance=_balance, number=_number, interval=_interval)
    block = bundle.manifest.image_types[DERMOSCOPIC]
    figures = block["metrics"]
    counts = {code: figures["per_diagnosis"][code]["pictures"] for code in Diagnosis}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        bundle=bundle,
        manifest=bundle.manifest,
        figures=figures,
        assessment=block["assessment"],
        temperature=block["calibration"]["temperature"],
        diagnoses=list(Diagnosis),
        rarest=[f"{code} {counts[code]}" for code in sorted(counts, key=counts.__getitem__)[:4]],
        splits=SPLITS,
        normalised_from=NORMALISED_FROM,
    )


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
    return " and ".join(words) or "diagnoses as frequent as they come"


def _number(figure: Mapping[str, float | None] | float | None) -> str:
    """The figure without its interval, if it has one."""
    value = figure["value"] if isinstance(figure, Mapping) else figure
    return "too few to say" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return _number(value)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
