"""The charts of an evaluation, and storing them."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from matplotlib.figure import Figure

from recognition.taxonomy import CODES
from training.charts.curves import Curve, panels, square
from training.charts.grids import grid
from training.charts.output import as_png, as_svg
from training.charts.style import BLUE, VERMILION
from training.evaluation.figures import SLUGS

TITLES: Final = {
    "roc": "ROC curve of each diagnosis against all others, and of malignant against benign",
    "reliability": "What the malignant score said against how many were cancers, weighted to the case mix",
    "confusion": "Truth against answer at the balanced case mix",
}


def draw(figures: Mapping[str, Any]) -> dict[str, tuple[Figure, str]]:
    """The charts of one kind of picture by key, each with its one-sentence reading."""
    return {
        "roc": (_roc(figures), roc_reading(figures)),
        "reliability": (_reliability(figures), reliability_reading(figures)),
        "confusion": (_confusion(figures), confusion_reading(figures)),
    }


def store_charts(blocks: Mapping[str, Mapping[str, Any]], *, folder: str) -> dict[str, dict[str, str]]:
    """Draw and store the charts of every kind of picture that was answered, under `folder`.

    By "dermoscopic-roc" and so on: {"image_type", "svg": name, "png": name, "title": text, "reading": text}.
    """
    charts = {}
    for image_type, figures in blocks.items():
        if figures.get("refused"):
            continue
        for key, (figure, reading) in draw(figures).items():
            name = f"{SLUGS[image_type]}-{key}"
            svg = as_svg(figure, title=f"{TITLES[key]} ({SLUGS[image_type]})", description=reading)
            charts[name] = {
                "image_type": image_type,
                "svg": _store(f"{folder}/{name}.svg", svg.encode()),
                "png": _store(f"{folder}/{name}.png", as_png(figure)),
                "title": TITLES[key],
                "reading": reading,
            }
    return charts


def roc_reading(figures: Mapping[str, Any]) -> str:
    """A sentence that reads the ROC curves."""
    areas = {code: row["auc"]["value"] for code, row in figures["per_diagnosis"].items() if row["auc"]["value"]}
    if not areas:
        return "There is no diagnosis with both images of it and of others, so no curve can be drawn."
    best, worst = max(areas, key=areas.__getitem__), min(areas, key=areas.__getitem__)
    return (
        f"It ranks {best} best (area {areas[best]:.2f}) and {worst} least well ({areas[worst]:.2f}); "
        f"malignant against benign {_number(figures['malignant_auc']['value'])}."
    )


def reliability_reading(figures: Mapping[str, Any]) -> str:
    """A sentence that reads the calibration of the malignant score."""
    error = figures["malignant_calibration_error"]["after"]["value"]
    if error is None:
        return "There are no pictures to compare it on."
    bins = figures["reliability"]
    lean = sum(each["weight"] * (each["said"] - each["malignant"]) for each in bins)
    said = "more cancers than there were" if lean > 0 else "fewer cancers than there were"
    return f"On average the malignant score misses the share of cancers by {error:.1%}; altogether it expected {said}."


def confusion_reading(figures: Mapping[str, Any]) -> str:
    """A sentence that names the most frequent mistake at the balanced case mix."""
    mistakes = [
        (count / max(sum(row), 1), CODES[truth], CODES[called])
        for truth, row in enumerate(figures["balanced"]["confusion"])
        for called, count in enumerate(row)
        if truth != called and count
    ]
    if not mistakes:
        return "It made no mistake on these images."
    share, truth, called = max(mistakes)
    return f"Its most frequent mistake: {share:.0%} of {truth} are called {called}."


def _roc(figures: Mapping[str, Any]) -> Figure:
    curves = []
    for name, curve in figures["roc"].items():
        if curve is not None:
            area = figures["malignant_auc"] if name == "malignant" else figures["per_diagnosis"][name]["auc"]
            curves.append(
                Curve(
                    f"{name}  {_number(area['value'])}",
                    curve["false_positive_rate"],
                    curve["true_positive_rate"],
                    VERMILION if name == "malignant" else BLUE,
                )
            )
    return panels(curves, x="false positives", y="true positives")


def _reliability(figures: Mapping[str, Any]) -> Figure:
    bins = figures["reliability"]
    curve = Curve(
        "malignant score",
        [each["said"] for each in bins],
        [each["malignant"] for each in bins],
        BLUE,
        [each["weight"] for each in bins],
    )
    return square([curve], x="malignant score", y="share of cancers", labels={curve.label: (0.04, 0.93)})


def _confusion(figures: Mapping[str, Any]) -> Figure:
    rows = figures["balanced"]["confusion"]
    shares = [[count / max(sum(row), 1) for count in row] for row in rows]
    labels = [f"{code} ({sum(row)})" for code, row in zip(CODES, rows, strict=True)]
    return grid(labels, list(CODES), shares)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _store(name: str, content: bytes) -> str:
    if default_storage.exists(name):  # left by an attempt that was interrupted before it wrote its row
        default_storage.delete(name)
    return default_storage.save(name, ContentFile(content))
