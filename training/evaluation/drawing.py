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
from training.charts.style import BLUE, GREY, VERMILION
from training.evaluation.figures import calibration_errors, figure_of

TITLES: Final = {
    "roc": "ROC curve of each diagnosis against all others, and of malignant against benign",
    "reliability": "How sure it was against how often it was right, before and after calibration",
    "confusion": "Truth against answer",
}


def draw(figures: Mapping[str, Any]) -> dict[str, tuple[Figure, str]]:
    """The charts of an evaluation by key, each with its one-sentence reading."""
    return {
        "roc": (_roc(figures), roc_reading(figures)),
        "reliability": (_reliability(figures), reliability_reading(figures)),
        "confusion": (_confusion(figures), confusion_reading(figures)),
    }


def store_charts(figures: Mapping[str, Any], *, folder: str) -> dict[str, dict[str, str]]:
    """Draw and store the charts under `folder`: {key: {"svg": name, "png": name, "title": text, "reading": text}}."""
    charts = {}
    for key, (figure, reading) in draw(figures).items():
        svg = as_svg(figure, title=TITLES[key], description=reading)
        charts[key] = {
            "svg": _store(f"{folder}/{key}.svg", svg.encode()),
            "png": _store(f"{folder}/{key}.png", as_png(figure)),
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
    """A sentence that reads the reliability curve."""
    error = {when: figure_of(value)["value"] for when, value in calibration_errors(figures).items()}
    bins = figures["reliability"]["after"]
    share = sum(each["pictures"] for each in bins if each["confidence"] > each["accuracy"]) / figures["pictures"]
    lean = "surer than it should be" if share > 0.5 else "less sure than it could be"
    return (
        f"On average its confidence misses the truth by {error['after']:.1%} after calibration "
        f"({error['before']:.1%} before); for most images it is {lean}."
    )


def confusion_reading(figures: Mapping[str, Any]) -> str:
    """A sentence that names the most frequent mistake."""
    mistakes = [
        (count / max(sum(row), 1), CODES[truth], CODES[called])
        for truth, row in enumerate(figures["confusion"])
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
    curves = []
    for key, label, colour in (("before", "before calibration", GREY), ("after", "after", BLUE)):
        bins = figures["reliability"][key]
        curves.append(
            Curve(
                label,
                [each["confidence"] for each in bins],
                [each["accuracy"] for each in bins],
                colour,
                [each["pictures"] for each in bins] if key == "after" else (),
            )
        )
    places = {"before calibration": (0.04, 0.93), "after": (0.04, 0.86)}
    return square(curves, x="confidence", y="share that was right", labels=places)


def _confusion(figures: Mapping[str, Any]) -> Figure:
    rows = figures["confusion"]
    shares = [[count / max(sum(row), 1) for count in row] for row in rows]
    labels = [f"{code} ({sum(row)})" for code, row in zip(CODES, rows, strict=True)]
    return grid(labels, list(CODES), shares)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _store(name: str, content: bytes) -> str:
    if default_storage.exists(name):  # left by an attempt that was interrupted before it wrote its row
        default_storage.delete(name)
    return default_storage.save(name, ContentFile(content))
