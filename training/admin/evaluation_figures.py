"""The figures of an evaluation as text, for its page and for the card of a classifier: each kind of picture apart."""

from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnoses.labels import IMAGE_TYPE_NAMES
from recognition.taxonomy import CODES, Diagnosis
from training.evaluation.figures import SLUGS, blocks_of
from training.models import Evaluation

POINTS: Final = {
    "balanced": gettext_lazy("balanced (best sum of sensitivity and specificity)"),
    "sensitive": gettext_lazy("sensitive (95 per cent of the cancers of the calibration split)"),
}
ADVICE: Final = {"soon": gettext_lazy("see a doctor soon, or sooner"), "urgent": gettext_lazy("see a doctor in days")}
GROUPS: Final = {
    "sex": gettext_lazy("Sex"),
    "age": gettext_lazy("Age"),
    "site": gettext_lazy("Site"),
    "skin_tone": gettext_lazy("Skin tone (0 darkest, 5 lightest)"),
    "source": gettext_lazy("Source"),
}
MAIN: Final = {
    "malignant_auc": gettext_lazy("malignant AUC"),
    "sensitivity": gettext_lazy("cancers told to see a doctor"),
    "melanoma_sensitivity": gettext_lazy("melanomas told to see a doctor"),
    "specificity": gettext_lazy("benign lesions told to wait"),
    "not_assessed": gettext_lazy("not assessed"),
    "malignant_calibration_error": gettext_lazy("calibration error"),
}
"""The figures of `recognition.evaluation.measure.main_figures`."""

FILES: Final = ("predictions", "predictions-balanced", "ground-truth")
"""The files of each kind of picture, without its name and the suffix."""

METADATA: Final = {
    "demographics": gettext_lazy("Pictures with age, sex or site"),
    "answers": gettext_lazy("Pictures whose patients answered questions"),
}


def kinds_context(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Context for each kind of picture that was answered: its figures as text, its charts and its files."""
    charts = evaluation.metrics.get("charts", {})
    return [
        {
            "name": IMAGE_TYPE_NAMES[image_type],
            "files": [f"{SLUGS[image_type]}-{name}.csv" for name in FILES],
            "charts": [
                {"key": key, "shape": key.removeprefix(f"{SLUGS[image_type]}-"), **chart}
                for key, chart in charts.items()
                if chart.get("image_type") == image_type
            ],
            **figures_context(block),
        }
        for image_type, block in blocks_of(evaluation.metrics).items()
    ]


def figures_context(block: dict[str, Any]) -> dict[str, Any]:
    """Context: the figures of one kind of picture as text."""
    return {
        "pictures": block["pictures"],
        "lesions": block["lesions"],
        "headline": _headline(block),
        "advice": _advice(block["advice"]),
        "rows": [_diagnosis(code, block) for code in Diagnosis],
        "points": [
            (
                POINTS.get(name, name),
                point["threshold"],
                *(with_interval(point[rate]) for rate in ("sensitivity", "specificity")),
            )
            for name, point in block["operating_points"].items()
        ],
        "codes": CODES,
        "confusion": [
            (code, [(count, called == truth) for called, count in enumerate(row)], sum(row))
            for truth, (code, row) in enumerate(zip(CODES, block["balanced"]["confusion"], strict=True))
        ],
        "main_names": list(MAIN.values()),
        "metadata": [
            (METADATA[name], each["with"]["pictures"], _main(each["with"]), _main(each["without"]))
            for name, each in block["metadata"].items()
        ],
        "subgroups": [
            (GROUPS[each["kind"]], _(each["name"]), each["lesions"], each["malignant_lesions"], _main(each))
            for each in block["subgroups"]
        ],
        "hardest": block["hardest"],
    }


def with_interval(figure: dict[str, float | None] | None) -> str:
    """ "0.512 (0.471–0.553)", or a dash if there is no value."""
    if not figure or figure.get("value") is None:
        return "–"
    if figure.get("low") is None or figure.get("high") is None:
        return plain(figure["value"])
    return f"{plain(figure['value'])} ({plain(figure['low'])}–{plain(figure['high'])})"


def plain(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


Fact = tuple[str | Promise, str, str]
"""A name, a figure, and what it means."""


def _headline(block: dict[str, Any]) -> list[Fact]:
    error, classwise = block["malignant_calibration_error"], block["classwise_calibration_error"]
    return [
        (
            _("Balanced accuracy"),
            with_interval(block["balanced_accuracy"]),
            _("at the balanced case mix: the ISIC 2019 metric; 0.125 is chance"),
        ),
        (
            _("Accuracy"),
            with_interval(block["accuracy"]),
            _("always %(code)s would reach %(share)s")
            % {"code": block["majority_diagnosis"], "share": plain(block["majority_baseline"])},
        ),
        (_("Malignant AUC"), with_interval(block["malignant_auc"]), _("MEL, BCC or SCC against the rest")),
        (
            _("Melanomas told to see a doctor"),
            with_interval(block["advice"]["soon"]["melanoma_sensitivity"]),
            _("refused pictures count as missed"),
        ),
        (
            _("Calibration error of the malignant score"),
            with_interval(error["after"]),
            _("%(before)s before calibration; weighted to the case mix; by chance alone about %(chance)s")
            % {"before": with_interval(error["before"]), "chance": plain(error.get("by_chance"))},
        ),
        (
            _("Calibration error, mean of the eight"),
            with_interval(classwise["after"]),
            _("%(before)s before calibration; weighted to the case mix")
            % {"before": with_interval(classwise["before"])},
        ),
        (
            _("Not assessed"),
            with_interval(block["advice"]["not_assessed"]),
            _("of the cancers %(share)s") % {"share": with_interval(block["advice"]["not_assessed_malignant"])},
        ),
    ]


def _advice(advice: dict[str, Any]) -> list[tuple[str | Promise, str, list[str]]]:
    """The rates of each advice, over all pictures with refused ones counted as missed, and over the assessed alone."""
    return [
        (name, said, [with_interval(rates[rate]) for rate in ("sensitivity", "melanoma_sensitivity", "specificity")])
        for level, name in ADVICE.items()
        for said, rates in (
            (_("all, refused ones as missed"), advice[level]),
            (_("assessed ones alone"), advice[level]["assessed"]),
        )
    ]


def _diagnosis(code: Diagnosis, block: dict[str, Any]) -> dict[str, Any]:
    found = block["per_diagnosis"][code.value]
    return {
        "code": code.value,
        "name": _(code.full_name),
        "pictures": found["pictures"],
        "lesions": found["lesions"],
        "balanced": with_interval(block["balanced"]["sensitivity"][code.value]),
        **{key: with_interval(found[key]) for key in ("sensitivity", "specificity", "precision", "auc")},
        "auc80": with_interval(found["auc_above_80_sensitivity"]),
    }


def _main(figures: dict[str, Any]) -> list[str]:
    """The main figures in the order of `MAIN`."""
    few = _("too few to say")
    return [with_interval(figures[name]) if figures[name] else few for name in MAIN]
